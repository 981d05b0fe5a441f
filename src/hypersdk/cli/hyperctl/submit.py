"""``hyperctl submit``"""

from __future__ import annotations

from typing import Any

import click

from hypersdk.cli.hyperctl.command import Command
from hypersdk.cli.hyperctl.documents import document
from hypersdk.cli.hyperctl.following import concluded, follow
from hypersdk.cli.hyperctl.session import Session, with_session
from hypersdk.contract.known.jobs import SubmitAnswer
from hypersdk.model.errors import DaemonRefused, HyperSDKError, InvalidInput, PartialFailure

#: What was refused → why.
Failures = dict[str, HyperSDKError]


@click.command(cls=Command)
@click.option("--vm", default="", help="Export this machine: its path or name.")
@click.option("--output", default="", help="Folder on the worker's host.")
@click.option("--format", "format", default="", help="ovf, ova, qcow2, raw, vmdk, vhdx")
@click.option("--parallel", type=click.IntRange(1, 16), help="Disks at once.")
@click.option("--name", default="", help="Of the job, for people.")
@click.option("--file", default="", help="Jobs as JSON or YAML; - reads standard input.")
@click.option("--wait", is_flag=True, help="Follow them; the exit status is the worst of theirs.")
@with_session
def submit(
    session: Session,
    vm: str,
    output: str,
    format: str,
    parallel: int | None,
    name: str,
    file: str,
    wait: bool,
) -> int:
    """Submit jobs.

    \b
    hyperctl submit -vm /DC/vm/web -output /exports     an export
    hyperctl submit -file jobs.yaml                     one job, {jobs: […]} or a list

    Jobs of a file have kind and request, or the fields of an export (vm_path, output_path …).
    """
    if bool(vm) == bool(file):
        raise click.UsageError("give either -vm or -file")
    jobs = _of_file(file) if file else [_export(vm, output, format, parallel, name)]
    ids, failures = (_submit if all("kind" in job for job in jobs) else _export_all)(session, jobs)
    return _told(session, ids, failures, wait=wait)


def _submit(session: Session, jobs: list[dict[str, Any]]) -> tuple[list[str], Failures]:
    """Jobs of any kind."""
    ids: list[str] = []
    failures: Failures = {}
    for at, each in enumerate(session.client.jobs.submit_all(jobs).items):
        if each.error is None:
            ids.append(each.id)
        else:
            failures[f"jobs[{at}]"] = DaemonRefused(
                each.error.message, hint=each.error.hint, kind=each.error.kind
            )
    return ids, failures


def _export_all(session: Session, jobs: list[dict[str, Any]]) -> tuple[list[str], Failures]:
    """As exports were always written."""
    answer: SubmitAnswer = session.client.call("known_submit_jobs", body={"jobs": jobs})
    failures: Failures = {}
    for line in answer.errors or ():
        part, _, said = line.partition(": ")
        failures[part] = DaemonRefused(said or part)
    return list(answer.job_ids), failures


def _told(session: Session, ids: list[str], failures: Failures, *, wait: bool) -> int:
    terminal = session.terminal
    for id in ids:
        terminal.line(f"Job ID: {id}")
    terminal.result({"job_ids": ids, "accepted": len(ids), "rejected": len(failures)})
    if failures and not ids and len(failures) == 1:
        raise next(iter(failures.values()))
    if failures:
        raise PartialFailure(
            f"{len(failures)} of {len(ids) + len(failures)} jobs were not taken", failures
        )
    if not wait:
        terminal.note(f"Follow with: hyperctl watch {' '.join(ids[:3])}")
        return 0
    return concluded(session, follow(session, ids))


def _export(vm: str, output: str, format: str, parallel: int | None, name: str) -> dict[str, Any]:
    wanted = {"vm_path": vm, "output_path": output, "format": format, "name": name}
    job: dict[str, Any] = {field: value for field, value in wanted.items() if value}
    if parallel:
        job["options"] = {"parallel_downloads": parallel}
    return job


def _of_file(file: str) -> list[dict[str, Any]]:
    """One job, ``{jobs: […]}`` or a list."""
    found = document(file)
    if isinstance(found, dict) and "jobs" in found:
        found = found["jobs"]
    jobs = found if isinstance(found, list) else [found]
    if not jobs or not all(isinstance(job, dict) for job in jobs):
        raise InvalidInput(f"{file} holds no jobs", hint="Write one job, {jobs: […]} or a list.")
    return jobs
