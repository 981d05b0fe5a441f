"""What the hypervisor says of itself."""

from __future__ import annotations

from hypersdk.conformance import expect
from hypersdk.conformance.case import case
from hypersdk.conformance.lab import Lab
from hypersdk.model.errors import InvalidInput, LimitExceeded


@case("host")
def says_what_it_is(lab: Lab) -> None:
    """Name, product, version and architecture are known."""
    info = lab.host.info()
    for field in ("name", "product", "version", "architecture"):
        expect.true(bool(getattr(info, field)), f"the host's {field} is empty")


@case("host")
def has_plausible_room(lab: Lab) -> None:
    """Figures of processors, memory and storage are possible ones."""
    info = lab.host.info()
    expect.true(info.vcpus >= 1, f"it has {info.vcpus} processors")
    expect.true(
        0 <= info.memory_available <= info.memory,
        f"{info.memory_available} of {info.memory} bytes of memory are available",
    )
    expect.true(info.storage_available is None or info.storage_available >= 0, "negative storage")
    for field in ("maximum_instances", "maximum_vcpus", "maximum_memory"):
        figure = getattr(info, field)
        expect.true(figure is None or figure >= 1, f"{field} is {figure}")
    expect.contains(("kvm", "tcg", "none"), info.acceleration, "its acceleration")


@case("host", needs=("lifecycle",))
def counts_active_instances(lab: Lab) -> None:
    """An instance counts as active while it runs, and only then."""
    name = lab.create().name
    before = lab.host.info().active_instances
    lab.lifecycle.start(name)
    lab.eventually(
        lambda: lab.host.info().active_instances,
        lambda active: active > before,
        "active instances after a start",
    )
    lab.lifecycle.stop(name, force=True)
    lab.eventually(
        lambda: lab.host.info().active_instances,
        lambda active: active <= before,
        "active instances after a stop",
    )


@case("host", needs=("lifecycle",))
def maximum_vcpus_is_true(lab: Lab) -> None:
    """As many processors as the host allows are accepted, one more are not."""
    most = lab.host.info().maximum_vcpus
    if most is None:
        expect.skip("the host names no limit of processors")
    if most > 64:
        expect.skip(f"the limit is {most} processors; nobody tries that")
    with lab.nothing_left():
        expect.raises(
            _REFUSALS, lambda: lab.create(vcpus=most + 1), f"creating with {most + 1} processors"
        )
    expect.equal(lab.create(vcpus=most).vcpus, most, "processors at the limit")


_REFUSALS = (LimitExceeded, InvalidInput)
