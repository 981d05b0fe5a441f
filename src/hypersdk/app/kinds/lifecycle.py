"""Jobs that start, stop and delete instances."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hypersdk.app.kinds.requests import answer, asked, refuse, same
from hypersdk.app.kinds.site import Site, inventory_of, lifecycle_of
from hypersdk.contract.kinds import LifecycleRequest, LifecycleResult
from hypersdk.drivers.ports import Hypervisor
from hypersdk.drivers.ports import Lifecycle as Port
from hypersdk.jobs.kinds import Plan, Run
from hypersdk.model.errors import InstanceNotFound
from hypersdk.model.instances import InstanceState

#: Operation → what happened, as events and results call it.
_EVENTS = {
    "start": "started", "stop": "stopped", "pause": "paused", "resume": "resumed",
    "restart": "restarted", "reset": "reset", "delete": "deleted",
}  # fmt: skip


class Lifecycle:
    """Done again, each operation finds itself done; a reset alone would be pressed twice if the
    worker is killed in the moment of it. An instance that is gone was deleted by this run when
    this run has seen it."""

    name = "lifecycle"
    summary = "Start, stop, pause, resume, restart, reset or delete an instance."
    waits = False

    def __init__(self, site: Site) -> None:
        self._site = site

    def plan(self, request: Mapping[str, Any]) -> Plan:
        """See the port."""
        wanted = asked(LifecycleRequest, request)
        _check(wanted)
        return self._site.planned(
            f"{wanted.operation} {wanted.instance}",
            hypervisor=wanted.hypervisor,
            dedup=same(self.name, wanted),
        )

    def work(self, request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
        """See the port."""
        wanted = asked(LifecycleRequest, request)
        _check(wanted)
        run.phase(wanted.operation, wanted.instance)
        with self._site.hypervisor(run, wanted.hypervisor) as hypervisor:
            lifecycle = lifecycle_of(hypervisor)
            if wanted.operation == "delete":
                state = _delete(wanted, run, hypervisor, lifecycle)
                allowance = self._site.allowance
                run.step("count", lambda: allowance.grew(run.job.tenant, instances=-1))
            else:
                _steps(wanted, run, lifecycle)
                state = inventory_of(hypervisor).instance(wanted.instance).state.value
        event = _EVENTS[wanted.operation]
        self._site.happened(run, f"vm.{event}", wanted.hypervisor, wanted.instance, state=state)
        run.log(f"{wanted.instance} was {event}; it is {state}")
        return answer(
            LifecycleResult(instance=wanted.instance, operation=wanted.operation, state=state)
        )


def _steps(wanted: LifecycleRequest, run: Run, lifecycle: Port) -> None:
    name = wanted.instance

    def stop() -> None:
        lifecycle.stop(name, force=wanted.force, timeout=wanted.timeout)

    def start() -> None:
        lifecycle.start(name, paused=wanted.paused)

    operations: Mapping[str, tuple[Callable[[], None], ...]] = {
        "start": (start,),
        "stop": (stop,),
        "restart": (stop, start),
        "pause": (lambda: lifecycle.pause(name),),
        "resume": (lambda: lifecycle.resume(name),),
        "reset": (lambda: lifecycle.reset(name),),
    }
    for number, operation in enumerate(operations[wanted.operation]):
        run.step(f"{wanted.operation} {number}", operation)


def _delete(wanted: LifecycleRequest, run: Run, hypervisor: Hypervisor, lifecycle: Port) -> str:
    inventory = inventory_of(hypervisor)
    # By its id from here on: another instance may have the name by the time of a second go.
    identity = run.step("seen", lambda: inventory.instance(wanted.instance).id)

    def delete() -> None:
        try:
            if wanted.force and inventory.instance(identity).state is not InstanceState.STOPPED:
                lifecycle.stop(identity, force=True, timeout=wanted.timeout)
            lifecycle.delete(identity, disks=wanted.storage)
        except InstanceNotFound:
            run.log(f"{wanted.instance} is gone already")

    run.step("delete", delete)
    return "deleted"


def _check(wanted: LifecycleRequest) -> None:
    """Raises InvalidInput for what does not go together."""
    refuse(
        wanted.storage and wanted.operation != "delete",
        "request.storage is for deleting an instance",
        "Leave it out.",
    )
    refuse(
        wanted.paused and wanted.operation not in {"start", "restart"},
        "request.paused is for starting an instance",
        "Leave it out.",
    )
    refuse(
        wanted.force and wanted.operation not in {"stop", "restart", "delete"},
        f"request.force means nothing for {wanted.operation}",
        "Leave it out.",
    )
