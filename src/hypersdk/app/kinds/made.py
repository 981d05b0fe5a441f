"""Instances that a job has made, known by their tag."""

from __future__ import annotations

from hypersdk.app.kinds.site import JOB_TAG, inventory_of, lifecycle_of
from hypersdk.drivers.ports import Hypervisor
from hypersdk.jobs.kinds import Run
from hypersdk.model.errors import HypervisorError, InstanceNotFound
from hypersdk.model.instances import Instance, InstanceState


def instance_of(hypervisor: Hypervisor, name: str, run: Run) -> Instance | None:
    """The instance of this name, when this job made it."""
    try:
        found = inventory_of(hypervisor).instance(name)
    except InstanceNotFound:
        return None
    return found if found.tags.get(JOB_TAG) == run.job.id else None


def claimed(hypervisor: Hypervisor, name: str, run: Run) -> Instance | None:
    """The same, when it is certainly complete: it runs, and nobody starts a half made one."""
    found = instance_of(hypervisor, name, run)
    return found if found is not None and found.state is not InstanceState.STOPPED else None


def replaces(hypervisor: Hypervisor, name: str, run: Run) -> bool:
    """Whether an instance of this name is there that this job did not make."""
    try:
        found = inventory_of(hypervisor).instance(name)
    except InstanceNotFound:
        return False
    return found.tags.get(JOB_TAG) != run.job.id


def removed_half_made(hypervisor: Hypervisor, name: str, run: Run) -> None:
    """What an earlier run of this job has left of it. It was killed before it could say whether
    it was complete, and nobody has it yet."""
    if instance_of(hypervisor, name, run) is None:
        return
    run.log(f"removing {name}: an earlier run of this job was killed while it was made")
    if hypervisor.leftovers is not None:
        hypervisor.leftovers.reap()  # what holds it: the lease of a dead import, for example
    if (found := instance_of(hypervisor, name, run)) is not None:
        _remove(hypervisor, found)


def _remove(hypervisor: Hypervisor, found: Instance) -> None:
    """Some of its disks may never have been made, which `discard` does not mind."""
    try:
        lifecycle_of(hypervisor).delete(found.name, disks=True)
    except InstanceNotFound:
        return
    except HypervisorError:
        if hypervisor.provisioning is None:
            raise
        files = [disk.path for disk in found.disks if disk.path]
        hypervisor.provisioning.discard(found.name, files)
