"""What a hypervisor offers for backups and restores: views, records of changes, new instances.

These are parts like those in `ports`, and its rules hold for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from hypersdk.datapath.ports import BlockSink, BlockSource
from hypersdk.model.checkpoints import Checkpoint, DiskBitmaps
from hypersdk.model.instances import Consistency, Definition, Disk, Instance


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
        """Why it is read in full, or by which record the changes are known, and the way it is read
        where there are several. For a person."""
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

    @property
    def warnings(self) -> Sequence[str]:
        """What is not in this view though a person may count on it: TPM state, for example."""
        ...

    def confirm(self) -> None:
        """Called when all disks were read, before the restore point is committed.

        Raises HypervisorError when the hypervisor could not keep the moment until now: what was
        read may then be of several moments.
        """
        ...

    def keep_checkpoints(self) -> None:
        """Keep the checkpoints of this view; older ones that nobody can use go."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewOptions:
    """How to begin a view."""

    #: Disks that are left out; their names.
    exclude: frozenset[str] = frozenset()
    #: Have the guest agent freeze filesystems for the moment of the view, when it answers.
    freeze: bool = True
    #: Names of checkpoints begin with it. Series other than ours are numbered: ``virtnbdbackup.0``.
    series: str = "hypersdk"
    #: Path of the unix socket through which disks are read; empty: in a private folder.
    socket: str = ""


class Disks(Protocol):
    """Read the disks of instances."""

    def view(
        self, name: str, since: Mapping[str, str], options: ViewOptions | None = None
    ) -> BackupView:
        """Begin reading an instance. ``since``: disk name → checkpoint token of the last point.

        A token that is unknown, damaged, or belongs to another disk or size is not an error: that
        disk is read in full and says why. Raises HypervisorError for a disk that cannot be read
        (exclude it), InvalidState when another backup of the instance is under way.
        """
        ...

    def rewrite(self, name: str) -> Rewriting:
        """Begin writing the disks of a stopped instance in place; it cannot be started meanwhile.

        Raises InvalidState while it runs.
        """
        ...


class Rewriting(AbstractContextManager["Rewriting"], Protocol):
    """The disks of a stopped instance, open for changes. What was written stays, whatever
    happens; changed-block records note it like writes of the guest."""

    @property
    def disks(self) -> Sequence[Disk]:
        """With NVRAM, kernel and initrd where the instance has them."""
        ...

    def source(self, disk: str) -> BlockSource:
        """What the disk holds now."""
        ...

    def sink(self, disk: str) -> BlockSink: ...


class Checkpoints(Protocol):
    """The hypervisor's records of changed blocks, as a person looks after them."""

    def checkpoints(self, name: str) -> Sequence[Checkpoint]:
        """Oldest first, also those of other programs."""
        ...

    def bitmaps(self, name: str) -> Sequence[DiskBitmaps]:
        """What the disks themselves record, disk by disk."""
        ...

    def delete(self, name: str, checkpoint: str) -> None:
        """Remove a checkpoint and its bitmaps, in whatever state the instance is.

        Raises NotFound when there is neither a checkpoint nor a bitmap of this name.
        """
        ...

    def forget(self, name: str, checkpoint: str) -> None:
        """Remove the checkpoint, leave its bitmaps. Raises NotFound."""
        ...

    def remove_bitmap(self, name: str, bitmap: str) -> None:
        """Remove bitmaps of a name from all disks, also those without a checkpoint.

        Raises NotFound, and InvalidState while a checkpoint still needs it.
        """
        ...


class Leftovers(Protocol):
    """What runs that were killed left on the hypervisor."""

    def reap(self, *, dry_run: bool = False) -> Sequence[str]:
        """Clean up after dead runs (jobs, scratch files, sockets, checkpoints of points that were
        not committed, frozen filesystems); a line for each. Never touches runs that are alive."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """As what, and where, an instance is to be restored."""

    #: Its name; empty: the one it had.
    name: str = ""
    #: Give NICs new MAC addresses. None: when the original is still there. The instance's own
    #: identity is kept unless another instance has it.
    new_macs: bool | None = None
    #: Storage pool for the disks; empty: ``folder``.
    pool: str = ""
    #: Folder for the disks; empty, without a pool: where they were.
    folder: str = ""
    #: Network or bridge as it was called → as it is called here.
    networks: Mapping[str, str] = field(default_factory=dict)
    #: Replace an instance of this name, and files at the places of the disks.
    overwrite: bool = False
    #: No NIC has a link: the guest can reach nothing and nobody can reach it.
    isolated: bool = False
    #: Added to the tags that it had.
    tags: Mapping[str, str] = field(default_factory=dict)


class Building(AbstractContextManager["Building"], Protocol):
    """An instance that is being built. Leaving the context without ``commit`` removes all of it."""

    @property
    def name(self) -> str: ...

    def path(self, disk: str) -> str:
        """Where a disk is going to be."""
        ...

    def sink(self, disk: str) -> BlockSink:
        """A fresh disk to write. Flushed and closed by the caller before ``commit``."""
        ...

    def commit(self) -> Instance:
        """Make the disks durable, give them their names, define the instance, stopped."""
        ...


class Provisioning(Protocol):
    """Bring instances into being from what a restore point or a package holds."""

    @property
    def kinds(self) -> frozenset[str]:
        """Kinds of definitions it builds from: ``libvirt-xml``, ``ovf`` … (`Definition.kind`)."""
        ...

    def build(
        self, definition: Definition, disks: Sequence[Disk], placement: Placement
    ) -> Building:
        """Check everything that can be checked before bytes are copied; change nothing yet.

        Raises AlreadyExists naming what is in the way, NotFound for a pool or network that is not
        here, InvalidInput for a definition of another kind of hypervisor.
        """
        ...

    def discard(self, name: str, files: Sequence[str]) -> None:
        """Remove an instance that was built for a while, running or not, with the files that were
        made for it. What is gone already is no error."""
        ...
