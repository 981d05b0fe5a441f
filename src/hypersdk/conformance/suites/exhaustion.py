"""More than the hypervisor has: refused by class, with nothing left, and others unharmed."""

from __future__ import annotations

from dataclasses import replace

from hypersdk.conformance import expect
from hypersdk.conformance.case import case
from hypersdk.conformance.lab import Lab
from hypersdk.model.errors import HypervisorError, InvalidInput, LimitExceeded
from hypersdk.model.instances import InstanceState
from hypersdk.model.specs import DiskSpec, InstanceSpec

_REFUSALS = (LimitExceeded, InvalidInput)


def _refused(lab: Lab, spec: InstanceSpec, what: str) -> None:
    """At create, or at start at the latest; a neighbour does not notice."""
    neighbour = lab.running()

    def try_it() -> None:
        lab.create(spec)
        try:
            lab.lifecycle.start(spec.name)
        except HypervisorError:
            lab.lifecycle.delete(spec.name, disks=True)
            raise

    with lab.nothing_left():
        expect.raises(_REFUSALS, try_it, what)
    expect.equal(lab.look(neighbour.name), neighbour, "its neighbour")
    expect.lacks(lab.names(), spec.name, "the list")


@case("lifecycle")
def too_many_vcpus(lab: Lab) -> None:
    """More processors than any host has are refused."""
    _refused(lab, lab.spec(vcpus=1_000_000), "a million processors")


@case("lifecycle")
def too_much_memory(lab: Lab) -> None:
    """More memory than any host has is refused."""
    _refused(lab, lab.spec(memory=1 << 55), "32 PiB of memory")


@case("lifecycle.disks")
def too_large_a_disk(lab: Lab) -> None:
    """A disk larger than any storage can hold is refused."""
    spec = lab.spec()
    huge = DiskSpec(name="vdx", size=(1 << 63) - 512, format="raw")
    _refused(lab, replace(spec, disks=(*spec.disks, huge)), "a disk of 8 EiB")


@case("lifecycle")
def it_works_again_afterwards(lab: Lab) -> None:
    """After a refusal an instance that fits can be made under the same name."""
    spec = lab.spec(memory=1 << 55)
    try:
        lab.create(spec)
    except _REFUSALS:
        pass
    else:
        lab.lifecycle.delete(spec.name, disks=True)
    lab.create(lab.spec(name=spec.name))
    lab.lifecycle.start(spec.name)
    expect.equal(lab.state(spec.name), InstanceState.RUNNING, "its state")


@case("host", needs=("lifecycle",))
def too_many_instances(lab: Lab) -> None:
    """One instance more than the host allows is refused; after a delete there is room again."""
    most = lab.host.info().maximum_instances
    if most is None:
        expect.skip("the host names no limit of instances")
    have = len(lab.names())
    if most - have > lab.expectations.many:
        expect.skip(f"the limit is {most} instances; nobody waits for that")
    made = [lab.create().name for _ in range(most - have)]
    spec = lab.spec()
    with lab.nothing_left():
        expect.raises(LimitExceeded, lambda: lab.create(spec), "one instance too many")
    lab.lifecycle.delete(made[0], disks=True)
    lab.create(spec)
