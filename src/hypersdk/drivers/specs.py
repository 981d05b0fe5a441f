"""What is wrong with an `InstanceSpec` wherever it is to be made, and what a driver cannot honour.

Nothing in a spec is ignored: a driver refuses what it has no use for, by name.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, fields
from typing import Any

from hypersdk.model.errors import InvalidInput
from hypersdk.model.specs import InstanceSpec
from hypersdk.model.units import MIB

WEIGHTS = range(1, 10_001)
PORTS = range(1, 65_536)


def checked(spec: InstanceSpec) -> InstanceSpec:
    """``spec`` as it is. Raises InvalidInput for what cannot be made anywhere."""
    for problem, hint, wrong in _faults(spec):
        if wrong:
            raise InvalidInput(f"'{spec.name}' {problem}", hint=hint)
    for mount in spec.mounts:
        if not mount.target.startswith("/"):
            raise InvalidInput(
                f"'{spec.name}': {mount.target!r} is no absolute path to mount at",
                hint="It begins with '/'.",
            )
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


def _faults(spec: InstanceSpec) -> Iterator[tuple[str, str, bool]]:
    """What would be wrong, what to write instead, and whether it is."""
    yield "needs a name", "name='web'", not spec.name.strip()
    yield "needs at least one processor", "vcpus=1", spec.vcpus < 1
    yield (
        "has room for fewer processors than it has",
        "vcpus_maximum is 0 or at least vcpus.",
        spec.vcpus_maximum != 0 and spec.vcpus_maximum < spec.vcpus,
    )
    yield "needs at least 1 MiB of memory", "memory is in bytes: 1 << 30", spec.memory < MIB
    yield (
        "has room for less memory than it has",
        "memory_maximum is 0 or at least memory.",
        spec.memory_maximum != 0 and spec.memory_maximum < spec.memory,
    )
    yield (
        "has a CPU weight outside 1 to 10000",
        "Everybody has 100; 0 leaves it at that.",
        spec.cpu_weight not in (0, *WEIGHTS),
    )
    yield (
        "has a CPU limit that is no number of processors",
        "0.5 is half a processor, 0 no limit.",
        not 0 <= spec.cpu_limit < math.inf,
    )
    yield "cannot have a negative limit of processes", "0 is no limit.", spec.pids_limit < 0
    yield (
        "has a disk of negative size",
        "size is in bytes; 0: as large as its path or base.",
        any(disk.size < 0 for disk in spec.disks),
    )
    yield (
        "has a variable without a name, or with '=' in it",
        "env={'NAME': 'value'}",
        any(not name or "=" in name for name in spec.env),
    )


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
