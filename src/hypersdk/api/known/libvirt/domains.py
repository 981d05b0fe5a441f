"""Domains, their power, their snapshots."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from fastapi import Request

from hypersdk.api.known import beyond, reach
from hypersdk.api.known.power import note, patience, stepped
from hypersdk.api.known.reach import InstanceName, Reached, Which
from hypersdk.api.parts import subject_of
from hypersdk.api.security import note_change
from hypersdk.api.services import Who, WithServices
from hypersdk.contract.known.base import Done
from hypersdk.contract.known.domains import (
    Domain,
    DomainAsked,
    DomainsAnswer,
    DomainSnapshot,
    DomainSnapshotsAnswer,
    NewSnapshotAsked,
    SnapshotAsked,
)
from hypersdk.contract.known.watching import SendKeysAsked
from hypersdk.drivers.ports import Lifecycle
from hypersdk.model.domains import DomainFacts
from hypersdk.model.errors import OperationTimeout
from hypersdk.model.instances import Instance, InstanceState
from hypersdk.model.machines import Snapshot
from hypersdk.model.units import MIB

#: As virsh says it.
WORDS: Mapping[InstanceState, str] = {
    InstanceState.RUNNING: "running",
    InstanceState.PAUSED: "paused",
    InstanceState.STOPPED: "shut off",
    InstanceState.CRASHED: "crashed",
    InstanceState.UNKNOWN: "no state",
}
#: Seconds that a guest gets to begin to shut down while its caller waits.
_BEGIN = 5.0


def known_list_domains(services: WithServices, who: Who, hypervisor: Which = "") -> DomainsAnswer:
    """By name."""
    with reach.libvirt(services, who, hypervisor) as here:
        found = list(reach.inventory(here.hypervisor).instances())
        own = beyond.domains(here.hypervisor)
        facts = own.facts() if own is not None else {}
    domains = [domain(each, facts.get(each.name)) for each in found]
    return DomainsAnswer(domains=domains, total=len(domains))


def known_get_domain(
    services: WithServices, who: Who, name: InstanceName, hypervisor: Which = ""
) -> Domain:
    """By name or UUID."""
    with reach.libvirt(services, who, hypervisor) as here:
        found = reach.inventory(here.hypervisor).instance(name)
        own = beyond.domains(here.hypervisor)
        return domain(found, own.of(found.id) if own is not None else None)


def domain(found: Instance, facts: DomainFacts | None) -> Domain:
    """What other hypervisors than libvirt have are all defined, and none starts by itself."""
    number = facts.number if facts else None
    return Domain(
        id="-" if number is None else str(number),
        name=found.name,
        uuid=found.id,
        state=WORDS[found.state],
        cpus=found.vcpus,
        memory=found.memory // MIB,
        autostart=facts.autostart if facts else False,
        persistent=facts.persistent if facts else True,
    )


# Power.


def known_start_domain(
    services: WithServices, who: Who, request: Request, body: DomainAsked, hypervisor: Which = ""
) -> Done:
    def start(lifecycle: Lifecycle, id: str) -> None:
        lifecycle.start(id)

    with reach.libvirt(services, who, hypervisor) as here:
        found = stepped(services, who, request, here, body.name, start, "started")
    return Done(message=f"Domain {found.name} started")


def known_shutdown_domain(
    services: WithServices, who: Who, request: Request, body: DomainAsked, hypervisor: Which = ""
) -> Done:
    """Its guest may take its time: `/libvirt/domain` says when it is `shut off`."""

    def stop(lifecycle: Lifecycle, id: str) -> None:
        try:
            lifecycle.stop(id, timeout=patience(services, _BEGIN))
        except OperationTimeout:
            return  # it was asked, and that is all that is promised

    with reach.libvirt(services, who, hypervisor) as here:
        found = stepped(services, who, request, here, body.name, stop, "asked_to_stop")
    return Done(message=f"Domain {found.name} shutdown initiated")


def known_destroy_domain(
    services: WithServices, who: Who, request: Request, body: DomainAsked, hypervisor: Which = ""
) -> Done:
    def stop(lifecycle: Lifecycle, id: str) -> None:
        lifecycle.stop(id, force=True)

    with reach.libvirt(services, who, hypervisor) as here:
        found = stepped(services, who, request, here, body.name, stop, "stopped")
    return Done(message=f"Domain {found.name} destroyed")


def known_reboot_domain(
    services: WithServices, who: Who, request: Request, body: DomainAsked, hypervisor: Which = ""
) -> Done:
    """As by its reset button: the guest is not asked."""

    def reset(lifecycle: Lifecycle, id: str) -> None:
        lifecycle.reset(id)

    with reach.libvirt(services, who, hypervisor) as here:
        found = stepped(services, who, request, here, body.name, reset, "reset")
    return Done(message=f"Domain {found.name} reboot initiated")


def known_pause_domain(
    services: WithServices, who: Who, request: Request, body: DomainAsked, hypervisor: Which = ""
) -> Done:
    def pause(lifecycle: Lifecycle, id: str) -> None:
        lifecycle.pause(id)

    with reach.libvirt(services, who, hypervisor) as here:
        found = stepped(services, who, request, here, body.name, pause, "paused")
    return Done(message=f"Domain {found.name} paused")


def known_resume_domain(
    services: WithServices, who: Who, request: Request, body: DomainAsked, hypervisor: Which = ""
) -> Done:
    def resume(lifecycle: Lifecycle, id: str) -> None:
        lifecycle.resume(id)

    with reach.libvirt(services, who, hypervisor) as here:
        found = stepped(services, who, request, here, body.name, resume, "resumed")
    return Done(message=f"Domain {found.name} resumed")


def known_send_keys(
    services: WithServices, who: Who, request: Request, body: SendKeysAsked, hypervisor: Which = ""
) -> Done:
    """All at once. Names are Linux's, with or without `KEY_`."""
    keys = [plain_key(key) for key in body.keys]
    with reach.libvirt(services, who, hypervisor) as here:
        reach.console(here.hypervisor).send_keys(body.name, keys)
        # Which keys, nobody needs to know: they may be those of a password.
        note_change(request, subject_of(here.name, body.name), None, {"keys": len(keys)})
    return Done(message=f"{len(keys)} keys sent to {body.name}")


def plain_key(key: str) -> str:
    """``KEY_LEFTCTRL`` → ``leftctrl``."""
    return key.strip().lower().removeprefix("key_")


# Snapshots.


def known_list_domain_snapshots(
    services: WithServices, who: Who, name: InstanceName, hypervisor: Which = ""
) -> DomainSnapshotsAnswer:
    with reach.libvirt(services, who, hypervisor) as here:
        found = [_snapshot(each) for each in reach.snapshots(here.hypervisor).snapshots(name)]
    return DomainSnapshotsAnswer(snapshots=found, total=len(found), domain=name)


def known_create_domain_snapshot(
    services: WithServices,
    who: Who,
    request: Request,
    body: NewSnapshotAsked,
    hypervisor: Which = "",
) -> Done:
    """With the memory of a running domain, so that reverting resumes there."""
    with reach.libvirt(services, who, hypervisor) as here:
        made = take(here, body.domain_name, body.snapshot_name, body.description)
        note(services, who, request, here, body.domain_name, "snapshot")
    return Done(message=f"Snapshot {made.name} created for domain {body.domain_name}")


def known_revert_domain_snapshot(
    services: WithServices, who: Who, request: Request, body: SnapshotAsked, hypervisor: Which = ""
) -> Done:
    with reach.libvirt(services, who, hypervisor) as here:
        reach.snapshots(here.hypervisor).revert(body.domain_name, body.snapshot_name)
        note(services, who, request, here, body.domain_name, "reverted")
    return Done(message=f"Reverted to snapshot {body.snapshot_name}")


def known_delete_domain_snapshot(
    services: WithServices, who: Who, request: Request, body: SnapshotAsked, hypervisor: Which = ""
) -> Done:
    """What came after it stays."""
    with reach.libvirt(services, who, hypervisor) as here:
        reach.snapshots(here.hypervisor).delete(body.domain_name, body.snapshot_name)
        note(services, who, request, here, body.domain_name, "snapshot_deleted")
    return Done(message=f"Snapshot {body.snapshot_name} deleted")


def take(
    here: Reached, domain: str, name: str, description: str, *, disk_only: bool = False
) -> Snapshot:
    """``name``: empty for one of the time. Raises as the port says."""
    running = reach.inventory(here.hypervisor).instance(domain).state is InstanceState.RUNNING
    name = name or f"snapshot-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    return reach.snapshots(here.hypervisor).create(
        domain, name, memory=running and not disk_only, description=description
    )


def _snapshot(found: Snapshot) -> DomainSnapshot:
    return DomainSnapshot(
        name=found.name,
        description=found.description,
        creation_time=found.created,
        state=WORDS[found.state],
        current=found.current,
        parent=found.parent,
    )


HANDLERS = {
    "known_list_domains": known_list_domains,
    "known_get_domain": known_get_domain,
    "known_start_domain": known_start_domain,
    "known_shutdown_domain": known_shutdown_domain,
    "known_destroy_domain": known_destroy_domain,
    "known_reboot_domain": known_reboot_domain,
    "known_pause_domain": known_pause_domain,
    "known_resume_domain": known_resume_domain,
    "known_send_keys": known_send_keys,
    "known_list_domain_snapshots": known_list_domain_snapshots,
    "known_create_domain_snapshot": known_create_domain_snapshot,
    "known_revert_domain_snapshot": known_revert_domain_snapshot,
    "known_delete_domain_snapshot": known_delete_domain_snapshot,
}
