"""The command ``vmsnap``: where arguments come in and every error goes out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

import click

from hypersdk.cli.failures import leave_quietly
from hypersdk.cli.program import run_program
from hypersdk.cli.terminal import Terminal
from hypersdk.cli.vmsnap import backup, options, restore, scrub, status, verify
from hypersdk.cli.vmsnap.exits import PROGRAM, Exit, complain, described
from hypersdk.cli.vmsnap.options import Action, Given
from hypersdk.cli.vmsnap.output import Form, Style
from hypersdk.cli.vmsnap.places import Clock, local_time

_TRUE, _FALSE = ("true", "1", "yes"), ("false", "0", "no")


@click.command(PROGRAM, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="hypersdk", prog_name=PROGRAM, message="%(prog)s %(version)s")
@options.all_options
@click.pass_obj
def vmsnap(terminal: Terminal, /, **given: Any) -> Callable[[Clock], None]:
    """Back up libvirt domains, look after their checkpoints, and restore them.

    \b
    vmsnap --backup --domains web,db --output /srv/backup
    vmsnap --backup --domains '*' --output /srv/backup --groupBy month --prune
    vmsnap --status --domains web --output /srv/backup
    vmsnap --scrub --domains web --scrubType '*'
    vmsnap --restore web@2026-11-21 --output /srv/backup --to /tmp/web
    """
    _style(terminal, given)
    return _work(terminal, options.action(given), given)


def main() -> NoReturn:
    """Entry point of the installed command."""
    run_program(run)


def run(arguments: list[str], terminal: Terminal, clock: Clock = local_time) -> int:
    """Run one command and return its exit status; every error is reported on ``terminal``."""
    words = _plain(arguments)
    try:
        try:
            work = vmsnap.main(words, prog_name=PROGRAM, standalone_mode=False, obj=terminal)
            if callable(work):  # not after --help
                terminal.configure_log()
                work(clock)
            terminal.finish()
        except BrokenPipeError:
            raise
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last place to catch it
            ended = complain(error, terminal)
            _finish(terminal, error, words)
            return ended
    except BrokenPipeError:
        leave_quietly(terminal)
        return Exit.MAIN
    return Exit.OK


def _plain(arguments: list[str]) -> list[str]:
    """``--flag=true`` as ``--flag``, and without ``--flag=false``, which scripts have, too."""
    flags = {
        spelling
        for parameter in vmsnap.params
        if isinstance(parameter, click.Option) and parameter.is_flag
        for spelling in parameter.opts
    }
    found = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not (equals and name in flags and value.lower() in _TRUE + _FALSE):
            found.append(argument)
        elif value.lower() in _TRUE:
            found.append(name)
    return found


def _style(terminal: Terminal, given: Given) -> None:
    terminal.debug = given["verbose"]
    terminal.quiet = given["quiet"]
    options.style(given).apply(terminal)


def _work(terminal: Terminal, action: Action, given: Given) -> Callable[[Clock], None]:
    """What is to be done, with all that was said checked as far as it can be."""
    match action:
        case Action.BACKUP:
            return partial(backup.run, terminal, options.backup_options(given))
        case Action.SCRUB:
            to_scrub = options.scrub_options(given)
            return lambda _: scrub.run(terminal, to_scrub)
        case Action.RESTORE:
            to_restore = options.restore_options(given)
            return lambda _: restore.run(terminal, to_restore)
        case Action.VERIFY:
            to_verify = options.verify_options(given)
            return lambda _: verify.run(terminal, to_verify)
        case Action.STATUS:
            return partial(status.run, terminal, options.status_options(given))


def _finish(terminal: Terminal, error: BaseException, arguments: list[str]) -> None:
    """End the document. A status has domains in it and nothing else; stderr says what failed."""
    words = {argument.partition("=")[0] for argument in arguments}
    if not terminal.json:  # a usage error comes before the options for output are looked at
        form = Form.YAML if words & {"--yaml", "--yml"} else Form.JSON
        if form is Form.JSON and "--json" not in words:
            form = Form.TEXT
        Style(form, machine="--machine" in words).apply(terminal)
    is_status = not words & {f"--{each.value}" for each in Action if each is not Action.STATUS}
    terminal.finish(error=None if is_status else described(error))
