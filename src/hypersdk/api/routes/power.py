"""Running and stopping instances; part of `instances`."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import Request

from hypersdk.api.parts import changed, found_on, need, opened_for, subject_of
from hypersdk.api.records.instances import instance_record
from hypersdk.api.security import note_change
from hypersdk.api.services import Services, Who, WithServices
from hypersdk.contract.instances import InstanceRecord, StartOrder, StopOrder
from hypersdk.drivers.ports import Lifecycle
from hypersdk.model.accounts import Principal


def start_instance(
    services: WithServices,
    who: Who,
    request: Request,
    hypervisor: str,
    instance: str,
    body: StartOrder | None = None,
) -> InstanceRecord:
    """One that runs already stays as it is."""
    order = body or StartOrder()

    def start(lifecycle: Lifecycle, id: str) -> None:
        lifecycle.start(id, paused=order.paused)

    return _done(services, who, request, hypervisor, instance, start, "started")


def stop_instance(
    services: WithServices,
    who: Who,
    request: Request,
    hypervisor: str,
    instance: str,
    body: StopOrder | None = None,
) -> InstanceRecord:
    """A guest that does not obey in time runs on, and the answer is 504: stop it with `force`."""
    order = body or StopOrder()

    def stop(lifecycle: Lifecycle, id: str) -> None:
        lifecycle.stop(id, force=order.force, timeout=order.timeout)

    return _done(services, who, request, hypervisor, instance, stop, "stopped")


def pause_instance(
    services: WithServices, who: Who, request: Request, hypervisor: str, instance: str
) -> InstanceRecord:
    """Its memory stays."""

    def pause(lifecycle: Lifecycle, id: str) -> None:
        lifecycle.pause(id)

    return _done(services, who, request, hypervisor, instance, pause, "paused")


def resume_instance(
    services: WithServices, who: Who, request: Request, hypervisor: str, instance: str
) -> InstanceRecord:
    """One that runs stays as it is."""

    def resume(lifecycle: Lifecycle, id: str) -> None:
        lifecycle.resume(id)

    return _done(services, who, request, hypervisor, instance, resume, "resumed")


def restart_instance(
    services: WithServices,
    who: Who,
    request: Request,
    hypervisor: str,
    instance: str,
    body: StopOrder | None = None,
) -> InstanceRecord:
    """It is stopped as by `stop`, and started when that succeeded."""
    order = body or StopOrder()

    def restart(lifecycle: Lifecycle, id: str) -> None:
        lifecycle.stop(id, force=order.force, timeout=order.timeout)
        lifecycle.start(id)

    return _done(services, who, request, hypervisor, instance, restart, "restarted")


def reset_instance(
    services: WithServices, who: Who, request: Request, hypervisor: str, instance: str
) -> InstanceRecord:
    """What the guest did not write yet is lost."""

    def reset(lifecycle: Lifecycle, id: str) -> None:
        lifecycle.reset(id)

    return _done(services, who, request, hypervisor, instance, reset, "reset")


def _done(
    services: Services,
    who: Principal,
    request: Request,
    hypervisor: str,
    instance: str,
    act: Callable[[Lifecycle, str], None],
    word: str,
) -> InstanceRecord:
    with opened_for(services, who, hypervisor) as opened:
        lifecycle = need(opened.lifecycle, opened, "lifecycle")
        before = found_on(opened, instance)
        act(lifecycle, before.id)  # another instance may get the name meanwhile
        after = found_on(opened, before.id)
    changed(services, who, request, hypervisor, after.name, word)
    note_change(
        request,
        subject_of(hypervisor, after.name),
        {"state": before.state.value},
        {"state": after.state.value},
    )
    return instance_record(hypervisor, after)


HANDLERS = {
    "start_instance": start_instance,
    "stop_instance": stop_instance,
    "pause_instance": pause_instance,
    "resume_instance": resume_instance,
    "restart_instance": restart_instance,
    "reset_instance": reset_instance,
}
