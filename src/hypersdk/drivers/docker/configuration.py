"""An `InstanceSpec` as the engine's API wants it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from hypersdk.drivers.docker import marks, translate
from hypersdk.drivers.docker.connection import Json
from hypersdk.drivers.specs import checked, refuse
from hypersdk.model.errors import InvalidInput, LimitExceeded
from hypersdk.model.specs import InstanceSpec, MountSpec, NicSpec, PortSpec

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_OF_MACHINES = (
    "disks", "firmware", "cdrom", "cloud_init", "acceleration", "kernel", "initrd",
    "kernel_arguments",
)  # fmt: skip
#: What the engine gives no container less of.
LEAST_MEMORY = 6 << 20
#: The network of containers that have none, and the one they have by default.
NO_NETWORK, DEFAULT_NETWORK = "none", "bridge"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the engine's host has."""

    vcpus: int
    memory: int
    #: Version of control groups: ``1`` or ``2``.
    cgroups: str
    #: The engine's API.
    api: tuple[int, ...]

    @classmethod
    def of(cls, facts: Mapping[str, object], api: tuple[int, ...]) -> Surroundings:
        """``facts``: ``docker info``."""
        return cls(
            vcpus=int(str(facts["NCPU"])),
            memory=int(str(facts["MemTotal"])),
            cgroups=str(facts.get("CgroupVersion", "1")),
            api=api,
        )


def container(spec: InstanceSpec, identity: str, around: Surroundings) -> Json:
    """What to send for a container that is to be made. Raises InvalidInput, LimitExceeded."""
    checked(spec)
    refuse(spec, _OF_MACHINES, "which a container does not have")
    _check(spec, around)
    config: Json = {
        "Image": spec.image,
        "Labels": marks.made(
            identity,
            tags=spec.tags,
            folder=spec.folder,
            vcpus_maximum=spec.vcpus_maximum or spec.vcpus,
            memory_maximum=spec.memory_maximum or spec.memory,
        ),
        "Env": [f"{name}={value}" for name, value in spec.env.items()],
        "ExposedPorts": {_inside(port): {} for port in spec.ports},
        "HostConfig": limits(spec, around)
        | {
            "Mounts": [mount(each) for each in spec.mounts],
            "PortBindings": _bindings(spec.ports),
            "NetworkMode": networks(spec)[0],
        },
    }
    if spec.command:
        config["Cmd"] = list(spec.command)
    if mac := next((nic.mac for nic in spec.nics), ""):
        config["MacAddress"] = mac
    return config


def limits(spec: InstanceSpec, around: Surroundings) -> Json:
    """Memory is a limit with swap and all: a container that needs more is killed, it does not
    begin to swap."""
    time = spec.cpu_limit or float(spec.vcpus)
    wanted: Json = {
        "NanoCpus": round(time * translate.NANO),
        "Memory": spec.memory,
        "MemorySwap": spec.memory,
    }
    if spec.cpu_weight:
        wanted["CpuShares"] = translate.shares(spec.cpu_weight, around.cgroups)
    if spec.pids_limit:
        wanted["PidsLimit"] = spec.pids_limit
    return wanted


def networks(spec: InstanceSpec) -> list[str]:
    """Names, at least one. Without NICs there is no network, unless ports are to be reached."""
    if not spec.nics:
        return [DEFAULT_NETWORK if spec.ports else NO_NETWORK]
    return [nic.network or DEFAULT_NETWORK for nic in spec.nics]


def mount(spec: MountSpec) -> Json:
    kind = "bind" if spec.source.startswith("/") else "volume"
    return {"Type": kind, "Source": spec.source, "Target": spec.target, "ReadOnly": spec.read_only}


def volumes(spec: InstanceSpec) -> list[str]:
    """Names of the volumes that it mounts, each once."""
    return list(
        dict.fromkeys(each.source for each in spec.mounts if not each.source.startswith("/"))
    )


def checked_nic(name: str, nic: NicSpec) -> NicSpec:
    """Raises InvalidInput for what a container cannot have."""
    if nic.bridge:
        raise InvalidInput(
            f"'{name}' asks for a NIC on the bridge {nic.bridge}",
            hint="Containers are connected to networks of the engine: name one of these.",
        )
    if nic.model != NicSpec().model:
        raise InvalidInput(f"'{name}' asks for a NIC of model {nic.model}", hint="Leave it out.")
    return nic


def _check(spec: InstanceSpec, around: Surroundings) -> None:
    if not _NAME.fullmatch(spec.name):
        raise InvalidInput(
            f"'{spec.name}' cannot be the name of a container",
            hint="Two or more letters, digits, '_', '.', '-'; the first a letter or digit.",
        )
    if not spec.image:
        raise InvalidInput(f"'{spec.name}' needs an image", hint="image='debian:12'")
    for nic in spec.nics:
        checked_nic(spec.name, nic)
    if any(nic.mac for nic in spec.nics[1:]):
        raise InvalidInput(
            f"'{spec.name}' asks for a MAC address of a second NIC",
            hint="The engine takes one for the first network only.",
        )
    if spec.memory < LEAST_MEMORY:
        raise InvalidInput(f"'{spec.name}' needs at least 6 MiB of memory", hint="Give it more.")
    check_room(spec.name, max(spec.cpu_limit, float(spec.vcpus)), spec.memory, around)


def check_room(name: str, vcpus: float, memory: int, around: Surroundings) -> None:
    """Raises LimitExceeded for what the host does not have at all."""
    if vcpus > around.vcpus:
        raise LimitExceeded(
            f"'{name}' asks for {vcpus:g} processors, the host has {around.vcpus}",
            hint="Ask for fewer.",
        )
    if memory > around.memory:
        raise LimitExceeded(
            f"'{name}' asks for more memory than the host has", hint="Ask for less."
        )


def _inside(port: PortSpec) -> str:
    return f"{port.inside}/{port.protocol}"


def _bindings(ports: tuple[PortSpec, ...]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        found.setdefault(_inside(port), []).append(
            {"HostIp": port.address, "HostPort": str(port.host)}
        )
    return found
