"""From the options of a line to the work that they ask for, with all that was said checked."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias

import click

from hypersdk import InvalidInput
from hypersdk.cli.hyperexport import (
    check,
    cleanup,
    completion,
    daemon,
    decrypt,
    export,
    history,
    incremental,
    incrementalinfo,
    info,
    manifest,
    onscreen,
    plan,
    profiles,
    report,
)
from hypersdk.cli.hyperexport.options import daemon as daemons
from hypersdk.cli.hyperexport.options import keeping, notices, reading, repository, sealing
from hypersdk.cli.hyperexport.options.modes import Mode, mode
from hypersdk.cli.hyperexport.options.source import Source, source
from hypersdk.cli.hyperexport.options.values import Given, refuse
from hypersdk.cli.terminal import Terminal

#: Does what was asked for, at a moment that the clock says.
Work: TypeAlias = Callable[[Callable[[], datetime]], None]

#: Words that may stand first besides options.
WORDS = ("import", "verify")

#: What needs instances to be named.
_OF_INSTANCES = (Mode.INFO, Mode.PLAN, Mode.CHECK, Mode.INCREMENTAL_INFO)


def work_of(terminal: Terminal, context: click.Context, typed: Given) -> Work:
    """What is to be done. Raises InvalidInput."""
    given = profiles.applied(context, typed, terminal)
    meant, where = mode(given), source(given)
    saving = given["save_profile"]
    if meant in _OF_INSTANCES or (meant is Mode.EXPORT and daemons.wanted(given)):
        _demand(where)
    if meant is Mode.EXPORT and not where.named and not saving:
        meant = Mode.SCREEN
    refuse(
        where.others and meant is not Mode.SCREEN,
        "several hypervisors were named",
        "Name one with -H, or name no instance and choose on the screen.",
    )
    work = _of_daemon(terminal, given, meant, where) or _work(
        terminal, context, given, meant, where
    )
    if not saving:
        return work
    alone = meant is Mode.EXPORT and not where.named
    return lambda clock: _saved(terminal, context, given, None if alone else work, clock)


def _saved(
    terminal: Terminal,
    context: click.Context,
    given: Given,
    then: Work | None,
    clock: Callable[[], datetime],
) -> None:
    profiles.save(terminal, context, given, clock())
    if then is not None:
        then(clock)


def _work(
    terminal: Terminal, context: click.Context, given: Given, meant: Mode, where: Source
) -> Work:
    match meant:
        case Mode.EXPORT if given["incremental"] or given["force_full"]:
            increment = _incremental(given, where)
            return lambda _: incremental.run(terminal, increment)
        case Mode.EXPORT:
            exporting = export.options(given, where)
            return lambda _: export.run(terminal, exporting)
        case Mode.PLAN:
            planned = export.options(given, where)
            return lambda _: plan.run(terminal, planned)
        case Mode.CHECK:
            checked, wanted = export.options(given, where), keeping.report(given)
            return lambda clock: check.run(terminal, checked, wanted, clock())
        case Mode.INFO:
            return lambda _: info.run(terminal, where)
        case Mode.INCREMENTAL_INFO:
            increment = _incremental(given, where)
            return lambda _: incrementalinfo.run(terminal, increment)
        case Mode.SCREEN:
            return onscreen.work(terminal, given, where)
    return _of_files(terminal, context, given, meant)


def _of_daemon(terminal: Terminal, given: Given, meant: Mode, where: Source) -> Work | None:
    """What hypervisord does, or says."""
    said = daemons.daemon(given)
    match meant:
        case Mode.EXPORT if daemons.wanted(given):
            left = export.options(given, where)
            return lambda _: daemon.run(terminal, left, said)
        case Mode.DAEMON_WATCH:
            return lambda _: daemon.watch(terminal, given["daemon_watch"], said)
        case Mode.DAEMON_LIST:
            return lambda _: daemon.list_jobs(terminal, given["daemon_list"], said)
        case Mode.DAEMON_STATUS:
            return lambda _: daemon.status(terminal, said)
    return None


def _of_files(terminal: Terminal, context: click.Context, given: Given, meant: Mode) -> Work:
    """What asks no hypervisor."""
    match meant:
        case Mode.DECRYPT:
            opening = decrypt.Options(
                files=given["decrypt"],
                folder=given["output"],
                sealing=sealing.sealing(given),
                overwrite=given["overwrite"],
            )
            return lambda _: decrypt.run(terminal, opening)
        case Mode.VERIFY_MANIFEST:
            return lambda _: manifest.run(terminal, given["verify_manifest"])
        case Mode.COMPLETION:
            shell = given["completion"]
            return lambda _: completion.run(terminal, shell, context.command, WORDS)
        case Mode.CLEANUP:
            cleaning = cleanup.options(given)
            return lambda _: cleanup.run(terminal, cleaning)
    return _of_history(terminal, given, meant) or _of_profiles(terminal, given, meant)


def _of_history(terminal: Terminal, given: Given, meant: Mode) -> Work | None:
    match meant:
        case Mode.HISTORY:
            return lambda _: history.run(terminal, given["history_limit"])
        case Mode.CLEAR_HISTORY:
            return lambda _: history.clear(terminal)
        case Mode.REPORT:
            said = keeping.report(given) or keeping.Report(file=None)
            return lambda clock: report.run(terminal, said, clock())
    return None


def _of_profiles(terminal: Terminal, given: Given, meant: Mode) -> Work:
    match meant:
        case Mode.LIST_PROFILES:
            return lambda _: profiles.show(terminal)
        case Mode.DELETE_PROFILE:
            return lambda _: profiles.delete(terminal, given["delete_profile"])
    return lambda _: profiles.create_defaults(terminal)


def _incremental(given: Given, where: Source) -> incremental.Options:
    for name in ("encrypt", "compress", "upload", "pipeline", "libvirt", "snapshot", "power_off"):
        refuse(
            given[name],
            f"--{name.replace('_', '-')} goes with exports to files, not to a repository",
            "A repository compresses and encrypts by itself.",
        )
    return incremental.Options(
        source=where,
        increments=repository.increments(given),
        exclude=frozenset(given["exclude"]),
        freeze=not given["no_freeze"],
        bandwidth=reading.bandwidth(given),
        telling=notices.telling(given),
    )


def _demand(where: Source) -> None:
    if not where.named:
        raise InvalidInput("no instance was named", hint="Name it: hyperexport web")
