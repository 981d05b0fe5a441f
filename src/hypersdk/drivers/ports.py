"""What a hypervisor can offer, as small parts. A driver has a part or has not.

A driver is an object with an attribute per part; a part that the hypervisor cannot offer is None.
Capabilities are computed from the parts present (``capabilities``), never declared by hand, and no
method raises "not implemented".

Every method may be called from any thread. Drivers report *observed* state: they ask the
hypervisor, they do not remember what they told it. Native errors are translated in one function
per driver (``errors.py``) to ``HypervisorError`` and its kin; a missing instance is
``InstanceNotFound``, an impossible transition ``InvalidState``.

Idempotency: starting a running instance and stopping a stopped one succeed; deleting a missing
one raises ``InstanceNotFound``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from hypersdk.datapath.ports import BlockSource
from hypersdk.model.instances import Consistency, Definition, Disk, Instance


class Inventory(Protocol):
    """Which instances there are."""

    def instances(self) -> Iterator[Instance]:
        """All instances, by name."""
        ...

    def instance(self, name: str) -> Instance:
        """The instance of this name or id. Raises InstanceNotFound."""
        ...


class Lifecycle(Protocol):
    """Run and stop instances."""

    def start(self, name: str) -> None: ...

    def stop(self, name: str) -> None: ...

    def delete(self, name: str) -> None:
        """Remove a stopped instance and its disks. Raises InvalidState while it runs."""
        ...


class DiskView(Protocol):
    """One disk of a backup view."""

    @property
    def disk(self) -> Disk: ...

    @property
    def checkpoint(self) -> str | None:
        """Token by which the next backup can ask for changes since this moment; None: cannot."""
        ...

    @property
    def incremental(self) -> bool:
        """True when ``open()`` reports unchanged areas since the token that was handed in."""
        ...

    @property
    def reason(self) -> str:
        """Why it is read in full, or by which record the changes are known. For a person."""
        ...

    def open(self, *, full: bool = False) -> BlockSource:
        """The disk at the moment of the view. ``full``: report nothing as unchanged."""
        ...


class BackupView(AbstractContextManager["BackupView"], Protocol):
    """All disks of one instance at one moment.

    Leaving the context ends the view on the hypervisor. A checkpoint that was made for it is
    dropped again unless ``keep_checkpoints()`` was called: that is called once the restore point
    is committed, so that a failed backup leaves the chain of checkpoints as it was.
    """

    @property
    def instance(self) -> Instance: ...

    @property
    def disks(self) -> Sequence[DiskView]: ...

    @property
    def consistency(self) -> Consistency:
        """What was actually reached, not what was asked for."""
        ...

    @property
    def definition(self) -> Definition | None: ...

    def keep_checkpoints(self) -> None:
        """Keep the checkpoints of this view; older ones that nobody can use go."""
        ...


class Disks(Protocol):
    """Read the disks of instances."""

    def view(self, name: str, since: Mapping[str, str]) -> BackupView:
        """Begin reading an instance. ``since``: disk name → checkpoint token of the last point.

        A token that is unknown, damaged, or belongs to another disk or size is not an error: that
        disk is read in full and says why.
        """
        ...


class Hypervisor(Protocol):
    """One endpoint. Parts that it lacks are None."""

    @property
    def url(self) -> str:
        """How it was named, without secrets."""
        ...

    @property
    def inventory(self) -> Inventory | None: ...

    @property
    def lifecycle(self) -> Lifecycle | None: ...

    @property
    def disks(self) -> Disks | None: ...

    def close(self) -> None: ...


#: Names of the parts, in the order in which people ask for them.
PARTS = ("inventory", "lifecycle", "disks")


def capabilities(hypervisor: Hypervisor) -> tuple[str, ...]:
    """The parts that this hypervisor has."""
    return tuple(part for part in PARTS if getattr(hypervisor, part) is not None)
