"""What is wrong with an `InstanceSpec` wherever it is to be made, and what a driver cannot honour.

Nothing in a spec is ignored: a driver refuses what it has no use for, by name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import MISSING, fields
from typing import Any

from hypersdk.model.errors import InvalidInput
from hypersdk.model.specs import InstanceSpec
from hypersdk.model.units import MIB

WEIGHTS = range(1, 10_001)
PORTS = range(1, 65_536)


def checked(spec: InstanceSpec) -> InstanceSpec:
    """``spec`` as it is. Raises InvalidInput for what cannot be made anywhere."""
    for problem, wrong in (
        ("needs a name", not spec.name.strip()),
        ("needs at least one processor", spec.vcpus < 1),
        ("has room for fewer processors than it has", 0 < spec.vcpus_maximum < spec.vcpus),
        ("needs at least 1 MiB of memory", spec.memory < MIB),
        ("has room for less memory than it has", 0 < spec.memory_maximum < spec.memory),
        ("has a CPU weight outside 1 to 10000", spec.cpu_weight not in (0, *WEIGHTS)),
        ("cannot have a negative CPU limit", spec.cpu_limit < 0),
        ("cannot have a negative limit of processes", spec.pids_limit < 0),
        ("has a disk of negative size", any(disk.size < 0 for disk in spec.disks)),
        ("has a variable with '=' in its name", any("=" in name for name in spec.env)),
    ):
        if wrong:
            raise InvalidInput(f"'{spec.name}' {problem}")
    for mount in spec.mounts:
        if not mount.target.startswith("/"):
            raise InvalidInput(f"'{spec.name}': {mount.target!r} is no absolute path to mount at")
    for port in spec.ports:
        if (
            port.host not in PORTS
            or port.inside not in PORTS
            or port.protocol not in {"tcp", "udp"}
        ):
            raise InvalidInput(
                f"'{spec.name}': {port.host} → {port.inside}/{port.protocol} is no port",
                hint="Ports are 1 to 65535, protocols tcp and udp.",
            )
    return spec


def refuse(spec: InstanceSpec, names: Iterable[str], why: str) -> None:
    """Raise InvalidInput when a field of ``names`` is not as it is by default.

    ``why`` ends the sentence: "which a container does not have".
    """
    usual = {field.name: _default(field) for field in fields(spec)}
    for name in names:
        if getattr(spec, name) != usual[name]:
            raise InvalidInput(f"'{spec.name}' asks for {name}, {why}", hint="Leave it out.")


def _default(field: Any) -> Any:
    if field.default_factory is not MISSING:
        return field.default_factory()
    return field.default
