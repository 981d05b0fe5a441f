"""Exports that hypervisord does: submitted, scheduled, looked at."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

from hypersdk import Conflict, HyperSDKError, InvalidInput, NotFound, PartialFailure
from hypersdk.cli.hyperctl import showing
from hypersdk.cli.hyperctl.arguments import Target
from hypersdk.cli.hyperctl.following import follow
from hypersdk.cli.hyperctl.session import Session
from hypersdk.cli.hyperexport.connecting import batch_names
from hypersdk.cli.hyperexport.exits import AllFailed
from hypersdk.cli.hyperexport.export import Options
from hypersdk.cli.hyperexport.options.daemon import Daemon
from hypersdk.cli.hyperexport.options.source import Source
from hypersdk.cli.tables import printable
from hypersdk.cli.terminal import Terminal
from hypersdk.contract.jobs import JobRecord, NewJobRecord, NewScheduleRecord

#: Jobs that a list shows.
_NEWEST = 100


class JobFailed(HyperSDKError):
    """A job of the daemon did not complete."""


@contextmanager
def _session(terminal: Terminal, url: str) -> Iterator[Session]:
    session = Session(terminal, Target(daemon=url))
    try:
        yield session
    finally:
        session.close()


def run(terminal: Terminal, options: Options, daemon: Daemon) -> None:
    """Submit a job for each instance, or a schedule. Raises what the daemon refuses with."""
    _refuse(options)
    with _session(terminal, daemon.url) as session:
        hypervisor = _hypervisor(session, options.source)
        names = _names(session, options.source, hypervisor)
        requests = [_request(options, hypervisor, name) for name in names]
        if daemon.schedule:
            _schedule(session, daemon, requests)
            return
        ids = [_submitted(session, request) for request in requests]
        terminal.result({"job_ids": ids})
        if daemon.watch:
            _followed(session, ids)
        else:
            terminal.note(f"Follow with: hyperexport --daemon-watch {ids[0]}")


def watch(terminal: Terminal, id: str, daemon: Daemon) -> None:
    """Follow a job to its end."""
    with _session(terminal, daemon.url) as session:
        _followed(session, [id])


def list_jobs(terminal: Terminal, state: str, daemon: Daemon) -> None:
    """The newest, or the newest in a state. With --quiet: id, state and instance by tabs."""
    states = [] if state == "all" else [state]
    with _session(terminal, daemon.url) as session:
        found = list(islice(session.client.jobs.list(state=states, limit=_NEWEST), _NEWEST))
    terminal.result({"jobs": [job.model_dump(mode="json") for job in found]})
    if terminal.quiet and not terminal.json:
        for job in found:
            cells = (job.id, job.state, showing.subject(job))
            terminal.stdout.write("\t".join(map(printable, cells)) + "\n")
    else:
        terminal.table(showing.table(found, terminal))


def status(terminal: Terminal, daemon: Daemon) -> None:
    """Whether it runs, and what it does."""
    with _session(terminal, daemon.url) as session:
        found = session.client.status()
        terminal.result(found.model_dump(mode="json"))
        terminal.line(f"hypervisord {found.version} at {session.client.connection.url}")
        for state, number in found.jobs.items():
            terminal.line(f"  {state}: {number}")


def _submitted(session: Session, request: dict[str, Any]) -> str:
    id = session.client.jobs.submit("export", request).id
    quiet = session.terminal.quiet
    session.terminal.line(f"job-id: {id}" if quiet else f"{request['instance']}: Job ID: {id}")
    return id


def _schedule(session: Session, daemon: Daemon, requests: list[dict[str, Any]]) -> None:
    if len(requests) > 1:
        raise InvalidInput("a schedule exports one instance", hint="Make one for each of them.")
    new = NewScheduleRecord(
        name=daemon.schedule,
        cron=daemon.cron,
        job=NewJobRecord(kind="export", request=requests[0]),
    )
    made = session.client.schedules.create(new)
    session.terminal.line(f"schedule-created: {made.name}")
    session.terminal.result({"schedule": made.model_dump(mode="json")})
    if made.next_run is not None:
        session.terminal.note(f"It begins at {showing.when(made.next_run)} UTC.")


def _followed(session: Session, ids: list[str]) -> None:
    """Raises JobFailed, or AllFailed naming each."""
    jobs = follow(session, ids)
    session.terminal.result({"jobs": [job.model_dump(mode="json") for job in jobs]})
    failures: dict[str, HyperSDKError] = {}
    for job in jobs:
        if job.state == "completed":
            session.terminal.line(_done(job))
        else:
            failures[showing.subject(job) or job.id] = _failure(job)
    if len(jobs) == 1 and failures:
        raise next(iter(failures.values()))
    if failures:
        error = AllFailed if len(failures) == len(jobs) else PartialFailure
        raise error(f"{len(failures)} of {len(jobs)} exports failed", failures)


def _done(job: JobRecord) -> str:
    result = job.result or {}
    place = result.get("folder") or ", ".join(result.get("uploaded", ()))
    return f"success: {showing.subject(job)} exported to {place}"


def _failure(job: JobRecord) -> JobFailed:
    if job.error is None:
        return JobFailed(f"job {job.id} was {job.state}", hint=f"See: hyperctl logs {job.id}")
    return JobFailed(job.error.message, hint=job.error.hint or f"See: hyperctl logs {job.id}")


def _hypervisor(session: Session, source: Source) -> str:
    """As the daemon knows it. Raises NotFound, Conflict."""
    if source.hypervisor:
        return source.hypervisor
    scheme = source.provider
    fitting = [
        each.name
        for each in session.client.hypervisors.list()
        if each.url.partition(":")[0].partition("+")[0] == scheme
    ]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise Conflict(
            f"the daemon knows several hypervisors of {scheme}: {', '.join(fitting)}",
            hint="Name one with -H.",
        )
    raise NotFound(
        f"the daemon knows no hypervisor of {scheme}",
        hint="Make one known: hyperctl hypervisor add NAME URL",
    )


def _names(session: Session, source: Source, hypervisor: str) -> tuple[str, ...]:
    names = [*source.names, *(batch_names(source.batch) if source.batch else ())]
    if source.filters or source.folder:
        listed = session.client.instances.list(hypervisor=hypervisor, folder=source.folder)
        fitting = [
            each.name
            for each in listed
            if all(each.tags.get(key) == value for key, value in source.filters.items())
        ]
        names = [each for each in fitting if not names or each in names]
    if not names:
        raise NotFound("no instance fits", hint="List them with: hyperctl list")
    return tuple(dict.fromkeys(names))


def _request(options: Options, hypervisor: str, name: str) -> dict[str, Any]:
    """What the kind ``export`` takes. Folders are those of the worker's host."""
    files, snapshot, bound = options.files, options.snapshot, options.bandwidth
    wanted: dict[str, Any] = {
        "hypervisor": hypervisor,
        "instance": name,
        "output": os.path.abspath(options.folder(name)),
        "format": files.format,
        "parallel": files.parallel,
        "exclude": sorted(files.exclude),
        "freeze": options.freeze,
        "compress": bool(files.codec),
        "compression": files.codec,
        "level": files.level or None,
        "checksum": files.checksum,
        "verify": files.verify,
        "power_off": options.power_off,
        "power_off_timeout": options.power_off_timeout,
        "passphrase": options.sealing.passphrase,
        "recipients": list(options.sealing.recipients),
        "upload": files.upload,
        "keep_local": files.keep_local,
        "stream_upload": files.stream_upload,
        "manifest": files.manifest,
        "manifest_target": files.manifest_target if files.manifest else None,
        "resume": files.resume,
        "overwrite": files.overwrite or options.force,
    }
    if snapshot is not None:
        wanted |= {
            "snapshot": True,
            "snapshot_name": snapshot.name,
            "snapshot_memory": snapshot.memory,
            "snapshot_quiesce": snapshot.quiesce,
            "snapshot_keep": not snapshot.delete,
            "snapshot_most": snapshot.keep,
            "consolidate": snapshot.consolidate,
        }
    if bound is not None:
        wanted |= {"bandwidth": bound.rate, "burst": bound.burst, "adaptive": bound.adaptive}
    return {field: value for field, value in wanted.items() if value not in (None, "", [])}


def _refuse(options: Options) -> None:
    """What stays with whoever types it."""
    handed = options.handover.pipeline or options.handover.queue
    for said, name in ((handed, "--pipeline"), (options.sealing.keyfile, "--keyfile")):
        if said:
            raise InvalidInput(
                f"{name} does not go with --use-daemon", hint="Leave one of the two out."
            )
