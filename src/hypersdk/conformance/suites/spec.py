"""Specs that cannot be: refused before anything is made, with nothing left."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from hypersdk.conformance import expect
from hypersdk.conformance.case import add, case
from hypersdk.conformance.lab import Lab
from hypersdk.model.errors import InvalidInput, NotFound, NotSupported
from hypersdk.model.instances import InstanceState
from hypersdk.model.specs import DiskSpec, InstanceSpec, MountSpec, NicSpec, PortSpec

_NOWHERE = "/nonexistent/kit/no-such-file"

#: Name → what is wrong, how the spec is made wrong.
_WRONG: Mapping[str, tuple[str, Callable[[InstanceSpec], InstanceSpec]]] = {
    "no_name": ("without a name", lambda spec: replace(spec, name="")),
    "blank_name": ("with a blank name", lambda spec: replace(spec, name="  ")),
    "no_vcpus": ("without processors", lambda spec: replace(spec, vcpus=0)),
    "negative_vcpus": ("with a negative number of processors", lambda s: replace(s, vcpus=-1)),
    "no_memory": ("without memory", lambda spec: replace(spec, memory=0)),
    "negative_memory": ("with negative memory", lambda spec: replace(spec, memory=-1)),
    "small_vcpus_maximum": (
        "with room for fewer processors than it has",
        lambda spec: replace(spec, vcpus=2, vcpus_maximum=1),
    ),
    "small_memory_maximum": (
        "with room for less memory than it has",
        lambda spec: replace(spec, memory_maximum=spec.memory // 2),
    ),
    "negative_cpu_limit": ("with a negative CPU limit", lambda s: replace(s, cpu_limit=-0.5)),
    "high_cpu_weight": ("with a CPU weight of 10001", lambda s: replace(s, cpu_weight=10_001)),
    "negative_pids_limit": (
        "with a negative limit of processes",
        lambda spec: replace(spec, pids_limit=-1),
    ),
    "negative_disk": (
        "with a disk of negative size",
        lambda spec: replace(spec, disks=(*spec.disks, DiskSpec(size=-1))),
    ),
    "two_disks_of_one_name": (
        "with two disks of one name",
        lambda spec: replace(
            spec, disks=(DiskSpec(name="vdx", size=1 << 20), DiskSpec(name="vdx", size=1 << 20))
        ),
    ),
    "missing_base": (
        "with a base image that is not there",
        lambda spec: replace(spec, disks=(*spec.disks, DiskSpec(base=_NOWHERE))),
    ),
    "missing_network": (
        "with a NIC of a network that is not there",
        lambda spec: replace(spec, nics=(NicSpec(network="kit-no-such-network"),)),
    ),
    "missing_cdrom": ("with an ISO image that is not there", lambda s: replace(s, cdrom=_NOWHERE)),
    "missing_kernel": ("with a kernel that is not there", lambda s: replace(s, kernel=_NOWHERE)),
    "unknown_firmware": ("with unknown firmware", lambda spec: replace(spec, firmware="kit")),
    "missing_image": (
        "with an image that is not there",
        lambda spec: replace(spec, image="kit.invalid/no-such-image:none"),
    ),
    "malformed_env": ("with '=' in a variable's name", lambda s: replace(s, env={"A=B": "c"})),
    "relative_mount": (
        "with a mount at a relative path",
        lambda spec: replace(spec, mounts=(MountSpec(source="/tmp", target="inside"),)),  # noqa: S108
    ),
    "port_out_of_range": (
        "with a port outside 1 to 65535",
        lambda spec: replace(spec, ports=(PortSpec(host=70_000, inside=80),)),
    ),
    "unknown_protocol": (
        "with a port of an unknown protocol",
        lambda spec: replace(spec, ports=(PortSpec(host=18_080, inside=80, protocol="kit"),)),
    ),
}

#: Name → the part that knows what is there.
_NEEDS = {"missing_network": ("networks",), "missing_image": ("images",)}

#: These name something that is not there, or ask for what other drivers offer.
_REFUSALS = (InvalidInput, NotFound, NotSupported)


def _refused(words: str, change: Callable[[InstanceSpec], InstanceSpec]) -> Callable[[Lab], None]:
    def run(lab: Lab) -> None:
        spec = change(lab.spec())
        with lab.unchanged(), lab.nothing_left():
            expect.raises(_REFUSALS, lambda: lab.create(spec), f"an instance {words}")

    return run


for _name, (_words, _change) in _WRONG.items():
    add(
        "spec",
        f"{_name}_is_refused",
        "lifecycle",
        f"An instance {_words} is refused, and nothing is left of it.",
        _refused(_words, _change),
        needs=_NEEDS.get(_name, ()),
    )


@case("lifecycle")
def unicode_names_work_or_are_refused(lab: Lab) -> None:
    """A name with letters of any script is kept exactly, or refused."""
    _kept_or_refused(lab, "Größe-虚拟-🖥")


@case("lifecycle")
def names_with_spaces_work_or_are_refused(lab: Lab) -> None:
    """A name with spaces and signs is kept exactly, or refused."""
    _kept_or_refused(lab, "web server (old) & <new>")


@case("lifecycle")
def names_with_slashes_work_or_are_refused(lab: Lab) -> None:
    """A name that looks like a path is only a name, or refused."""
    _kept_or_refused(lab, "../kit/../../escape")


@case("lifecycle")
def very_long_names_work_or_are_refused(lab: Lab) -> None:
    """A name of 300 letters is kept exactly, or refused."""
    _kept_or_refused(lab, "n" * 300)


@case("lifecycle")
def control_characters_work_or_are_refused(lab: Lab) -> None:
    """A name with a line break or a NUL is kept exactly, or refused."""
    _kept_or_refused(lab, "two\nlines")
    _kept_or_refused(lab, "nul\0nul")


@case("lifecycle.tags")
def odd_tags_are_kept_or_refused(lab: Lab) -> None:
    """Tags with any letters come back exactly, or are refused."""
    tags = {"größe": "虚拟 <&> \"'", "empty": "", "a.b/c": "x=y"}
    spec = lab.spec(tags=tags)
    with lab.nothing_left():
        try:
            lab.create(spec)
        except InvalidInput:
            return
        expect.equal(dict(lab.look(spec.name).tags), tags, "its tags")
        lab.lifecycle.delete(spec.name, disks=True)


def _kept_or_refused(lab: Lab, name: str) -> None:
    lab.forget_later(name)
    with lab.nothing_left():
        try:
            made = lab.create(lab.spec(name=name))
        except InvalidInput:
            expect.lacks(lab.names(), name, "the list after a refusal")
            return
        expect.equal(made.name, name, "its name")
        expect.contains(lab.names(), name, "the list")
        lab.lifecycle.start(name)
        expect.equal(lab.state(name), InstanceState.RUNNING, "state after start")
        lab.lifecycle.stop(name, force=True)
        lab.lifecycle.delete(name, disks=True)
