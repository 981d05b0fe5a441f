"""The same for many domains, several at a time."""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime

from fastapi import Request

from hypersdk.api.known import reach
from hypersdk.api.known.libvirt.domains import take
from hypersdk.api.known.power import note, patience
from hypersdk.api.known.reach import Reached, Which
from hypersdk.api.known.spelling import duration, now, told
from hypersdk.api.security import note_change
from hypersdk.api.services import Services, Who, WithServices
from hypersdk.contract.known.domains import (
    BatchAnswer,
    BatchAsked,
    BatchDelete,
    BatchForce,
    BatchResult,
    BatchSnapshot,
    BatchStart,
)
from hypersdk.model.accounts import Principal
from hypersdk.model.errors import HyperSDKError, NotFound

#: Domains at a time.
_AT_ONCE = 8


def known_batch_start(
    services: WithServices, who: Who, request: Request, body: BatchStart, hypervisor: Which = ""
) -> BatchAnswer:
    with reach.libvirt(services, who, hypervisor) as here:
        lifecycle = reach.lifecycle(here.hypervisor)
        return _all(
            services,
            who,
            request,
            here,
            ("start", "started"),
            body.domains,
            lambda name: lifecycle.start(name, paused=body.paused),
        )


def known_batch_stop(
    services: WithServices, who: Who, request: Request, body: BatchForce, hypervisor: Which = ""
) -> BatchAnswer:
    """A guest that does not shut down in time counts as failed, and runs on."""
    seconds = patience(services, 60)
    with reach.libvirt(services, who, hypervisor) as here:
        lifecycle = reach.lifecycle(here.hypervisor)
        return _all(
            services,
            who,
            request,
            here,
            ("stop", "stopped"),
            body.domains,
            lambda name: lifecycle.stop(name, force=body.force, timeout=seconds),
        )


def known_batch_reboot(
    services: WithServices, who: Who, request: Request, body: BatchForce, hypervisor: Which = ""
) -> BatchAnswer:
    """Shut down and started; with `force` reset."""
    seconds = patience(services, 60)

    with reach.libvirt(services, who, hypervisor) as here:
        lifecycle = reach.lifecycle(here.hypervisor)

        def restart(name: str) -> None:
            if body.force:
                lifecycle.reset(name)
            else:
                lifecycle.stop(name, timeout=seconds)
                lifecycle.start(name)

        words = ("reboot", "restarted")
        return _all(services, who, request, here, words, body.domains, restart)


def known_batch_pause(
    services: WithServices, who: Who, request: Request, body: BatchAsked, hypervisor: Which = ""
) -> BatchAnswer:
    with reach.libvirt(services, who, hypervisor) as here:
        pause = reach.lifecycle(here.hypervisor).pause
        return _all(services, who, request, here, ("pause", "paused"), body.domains, pause)


def known_batch_resume(
    services: WithServices, who: Who, request: Request, body: BatchAsked, hypervisor: Which = ""
) -> BatchAnswer:
    with reach.libvirt(services, who, hypervisor) as here:
        resume = reach.lifecycle(here.hypervisor).resume
        return _all(services, who, request, here, ("resume", "resumed"), body.domains, resume)


def known_batch_snapshot(
    services: WithServices, who: Who, request: Request, body: BatchSnapshot, hypervisor: Which = ""
) -> BatchAnswer:
    """All of one name. With `atomic` either each has one afterwards, or none."""
    snapshot = f"{body.name_prefix}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    with reach.libvirt(services, who, hypervisor) as here:
        snapshots = reach.snapshots(here.hypervisor)

        def make(name: str) -> None:
            take(here, name, snapshot, body.description, disk_only=body.disk_only)

        words = ("snapshot", "snapshot")
        answer = _all(services, who, request, here, words, body.domains, make)
        if not (body.atomic and answer.failed):
            return answer
        for each in answer.results:
            if each.success:
                with suppress(NotFound):  # deleted by somebody else
                    snapshots.delete(each.domain, snapshot)
    return _taken_back(answer)


def known_batch_delete(
    services: WithServices, who: Who, request: Request, body: BatchDelete, hypervisor: Which = ""
) -> BatchAnswer:
    """Running ones are cut off first. With `snapshots_only` nothing but their snapshots goes."""
    with reach.libvirt(services, who, hypervisor) as here:
        hypervisor_ = here.hypervisor
        lifecycle = None if body.snapshots_only else reach.lifecycle(hypervisor_)

        def delete(name: str) -> None:
            if hypervisor_.snapshots is not None or lifecycle is None:
                _delete_snapshots(here, name)
            if lifecycle is not None:
                lifecycle.stop(name, force=True)
                lifecycle.delete(name, disks=body.remove_storage)

        word = "snapshots_deleted" if body.snapshots_only else "deleted"
        return _all(services, who, request, here, ("delete", word), body.domains, delete)


def _delete_snapshots(here: Reached, name: str) -> None:
    """The last ones first."""
    snapshots = reach.snapshots(here.hypervisor)
    for each in reversed(snapshots.snapshots(name)):
        snapshots.delete(name, each.name)


def _all(
    services: Services,
    who: Principal,
    request: Request,
    here: Reached,
    words: tuple[str, str],
    names: Sequence[str],
    act: Callable[[str], object],
) -> BatchAnswer:
    """``words``: the operation, and what becomes of each."""
    began, unique = now(), list(dict.fromkeys(names))
    inventory = reach.inventory(here.hypervisor)

    def one(name: str) -> BatchResult:
        try:
            inventory.instance(name)
            act(name)
        except HyperSDKError as error:
            return BatchResult(domain=name, success=False, error=told(error))
        return BatchResult(domain=name, success=True)

    with ThreadPoolExecutor(_AT_ONCE, "batch") as pool:
        work = [pool.submit(contextvars.copy_context().run, one, name) for name in unique]
        results = [each.result() for each in work]
    for each in results:
        if each.success:
            note(services, who, request, here, each.domain, words[1])
    done = [each.domain for each in results if each.success]
    note_change(
        request,
        f"hypervisors/{here.name}/instances",
        None,
        {"operation": words[0], "instances": done[:100], "failed": len(results) - len(done)},
    )
    ended = now()
    return BatchAnswer(
        operation=words[0],
        total=len(results),
        successful=len(done),
        failed=len(results) - len(done),
        results=results,
        start_time=began,
        end_time=ended,
        duration=duration((ended - began).total_seconds()),
    )


def _taken_back(answer: BatchAnswer) -> BatchAnswer:
    results = [
        BatchResult(domain=each.domain, success=False, error="taken back: another one failed")
        if each.success
        else each
        for each in answer.results
    ]
    return answer.model_copy(update={"results": results, "successful": 0, "failed": answer.total})


HANDLERS = {
    "known_batch_start": known_batch_start,
    "known_batch_stop": known_batch_stop,
    "known_batch_reboot": known_batch_reboot,
    "known_batch_pause": known_batch_pause,
    "known_batch_resume": known_batch_resume,
    "known_batch_snapshot": known_batch_snapshot,
    "known_batch_delete": known_batch_delete,
}
