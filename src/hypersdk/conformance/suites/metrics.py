"""What instances use, from the backend's counters."""

from __future__ import annotations

from hypersdk.conformance import expect
from hypersdk.conformance.case import case
from hypersdk.conformance.lab import Lab
from hypersdk.conformance.reading import AREA, pattern
from hypersdk.model.errors import HyperSDKError
from hypersdk.model.instances import InstanceState
from hypersdk.model.machines import DiskMetrics, InstanceMetrics


def _of(lab: Lab, name: str) -> InstanceMetrics:
    (found,) = lab.metrics.metrics([name])
    expect.equal(found.name, name, "whose metrics they are")
    return found


@case("metrics")
def one_call_has_all(lab: Lab) -> None:
    """One call has the metrics of all instances, running and stopped, each once."""
    names = {lab.create().name, lab.running().name, lab.running().name}
    found = [kept.name for kept in lab.metrics.metrics() if kept.name in names]
    expect.equal(sorted(found), sorted(names), "names in the metrics of all")


@case("metrics")
def names_choose(lab: Lab) -> None:
    """Those that are named are returned, and no others; naming none returns none."""
    wanted, other = lab.running().name, lab.running().name
    found = [kept.name for kept in lab.metrics.metrics([wanted])]
    expect.equal(found, [wanted], f"names, besides {other}")
    expect.equal(list(lab.metrics.metrics([])), [], "metrics of none")


@case("metrics")
def figures_are_those_of_the_instance(lab: Lab) -> None:
    """State, processors and memory in the metrics are those of the instance."""
    made = lab.running(vcpus=2)
    found = _of(lab, made.name)
    expect.equal((found.state, found.vcpus), (made.state, made.vcpus), "state and processors")
    expect.equal(found.memory, made.memory, "memory")
    expect.true(found.memory_maximum >= found.memory, "it has more memory than at most")
    lab.lifecycle.stop(made.name, force=True)
    expect.equal(_of(lab, made.name).state, InstanceState.STOPPED, "state after a stop")


@case("metrics")
def stopped_ones_use_nothing(lab: Lab) -> None:
    """A stopped instance uses no processor time and no memory, also when it has run before."""
    name = lab.running().name
    lab.lifecycle.stop(name, force=True)
    found = _of(lab, name)
    expect.equal(found.cpu_nanoseconds, 0, "processor time of a stopped instance")
    expect.equal(found.memory_resident, 0, "memory in use of a stopped instance")


@case("metrics.cpu")
def processor_time_grows(lab: Lab) -> None:
    """Processor time of a running instance grows, and never shrinks."""
    name = lab.running().name
    first = _of(lab, name).cpu_nanoseconds
    seen = [first]

    def look() -> int:
        seen.append(_of(lab, name).cpu_nanoseconds)
        return seen[-1]

    _busy(lab, name)
    lab.eventually(look, lambda time: time > first, "processor time")
    expect.equal(seen, sorted(seen), "processor time, look after look")


@case("metrics.cpu")
def counters_are_of_one_instance(lab: Lab) -> None:
    """What one instance uses is not counted for one that does not run."""
    busy, idle = lab.running().name, lab.create().name
    _busy(lab, busy)
    lab.eventually(
        lambda: _of(lab, busy).cpu_nanoseconds, lambda time: time > 0, "time of the busy one"
    )
    expect.equal(_of(lab, idle).cpu_nanoseconds, 0, "processor time of the idle one")


@case("metrics.memory")
def memory_in_use_is_measured(lab: Lab) -> None:
    """A running instance uses some memory of the host."""
    name = lab.running().name
    lab.eventually(lambda: _of(lab, name).memory_resident, lambda size: size > 0, "memory in use")


@case("metrics.disk")
def disks_are_counted(lab: Lab) -> None:
    """The disks of a running instance are in its metrics, with their sizes."""
    made = lab.running()
    if not made.disks:
        expect.skip("instances of this target have no disks")
    capacities = {disk.disk: disk.capacity for disk in _of(lab, made.name).disks}
    sizes = {disk.name: disk.size for disk in made.disks}
    expect.equal({name: capacities.get(name) for name in sizes}, sizes, "capacities")


@case("metrics.disk", needs=("guest",))
def allocation_grows_with_content(lab: Lab) -> None:
    """What the guest writes takes room on the storage, which the metrics show."""
    name = lab.running().name
    before = _disk(lab, name).allocation
    lab.guest.write(name, AREA, pattern("content", 4 * AREA))
    lab.eventually(
        lambda: _disk(lab, name).allocation, lambda size: size > before, "allocation of the disk"
    )


def _disk(lab: Lab, name: str) -> DiskMetrics:
    for disk in _of(lab, name).disks:
        if disk.disk == lab.guest.disk:
            return disk
    raise expect.Skipped(f"disk '{lab.guest.disk}' is not in the metrics")


@case("metrics.nic")
def nics_are_counted(lab: Lab) -> None:
    """The NICs of a running instance are in its metrics, with counters that never shrink."""
    if not lab.offers("lifecycle", "nics"):
        expect.skip("instances here have no NICs")
    name = lab.running(nics=(lab.nic(),)).name
    first = _of(lab, name).nics
    expect.true(bool(first), "no NIC is in the metrics")
    again = {nic.name: nic.received_bytes + nic.sent_bytes for nic in _of(lab, name).nics}
    for nic in first:
        expect.true(
            again.get(nic.name, -1) >= nic.received_bytes + nic.sent_bytes,
            f"the counters of '{nic.name}' went back",
        )


def _busy(lab: Lab, name: str) -> None:
    """Have it do something, where there is a way; a booting machine is busy by itself."""
    if lab.target.guest is not None:
        lab.guest.write(name, 0, pattern("busy", AREA))
    if lab.offers("execution"):
        try:
            lab.execution.run(name, ("sh", "-c", "i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done"))
        except HyperSDKError as error:
            expect.fail(f"a loop could not be run inside: {error}")
