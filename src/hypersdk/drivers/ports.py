"""What a hypervisor can offer, as small parts. A driver has a part or has not.

A driver is an object with an attribute per part; a part that the hypervisor cannot offer is None.
Capabilities are computed from the parts present (``capabilities``), never declared by hand, and no
method raises "not implemented".

Every method may be called from any thread. Drivers report *observed* state: they ask the
hypervisor, they do not remember what they told it. Native errors are translated in one function
per driver (``errors.py``) to ``HypervisorError`` and its kin; a missing instance is
``InstanceNotFound``, an impossible transition ``InvalidState``.

Idempotency: starting a running instance and stopping a stopped one succeed; deleting a missing
one raises ``InstanceNotFound``. What each operation does in each state is one table,
`model.operations`.

Limits: a part that lacks an aspect lists it in ``limits`` (it is ``Limited``); using the aspect
raises ``NotSupported`` before anything is changed.

Time: no call waits forever. Reads end within 30 seconds, everything that waits obeys the
``CancelToken`` in force, and a lost connection raises ``HypervisorUnreachable``; the next call
connects anew.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from hypersdk.drivers.containerports import Archives, Execution, Images, Logs
from hypersdk.drivers.diskports import Checkpoints, Disks, Leftovers, Provisioning
from hypersdk.model.capabilities import Capability, Grade, Limit
from hypersdk.model.details import InstanceDetails
from hypersdk.model.hosts import HostInfo
from hypersdk.model.instances import Disk, Instance, InstanceEvent
from hypersdk.model.machines import Display, GuestInfo, InstanceMetrics, Snapshot
from hypersdk.model.progress import Reporter, silent
from hypersdk.model.resources import Network, Pool, Volume
from hypersdk.model.specs import DiskSpec, InstanceSpec, NicSpec


@runtime_checkable
class Limited(Protocol):
    """A part that lacks something."""

    @property
    def limits(self) -> tuple[Limit, ...]:
        """What it lacks on this hypervisor; computed when the driver connects."""
        ...


class Host(Protocol):
    """What the instances run on."""

    def info(self) -> HostInfo:
        """As observed now."""
        ...


class Inventory(Protocol):
    """Which instances there are."""

    def instances(self) -> Iterator[Instance]:
        """All instances, by name."""
        ...

    def instance(self, name: str) -> Instance:
        """The instance of this name or id. Raises InstanceNotFound."""
        ...


class Details(Protocol):
    """More of one instance than a listing tells."""

    def details(self, name: str) -> InstanceDetails:
        """All that is known of it and of its surroundings, observed now. Takes longer than
        ``Inventory.instance``. Raises InstanceNotFound."""
        ...


class Following(AbstractContextManager["Following"], Protocol):
    """An inventory that the hypervisor's own events keep current."""

    def instances(self) -> Mapping[str, Instance]:
        """Name → instance as of the last event that arrived; costs no call to the hypervisor."""
        ...

    def next(self, timeout: float) -> InstanceEvent | None:
        """The next event, or None after ``timeout`` seconds without one. Each comes once."""
        ...


class Events(Protocol):
    """Be told what happens to instances."""

    def follow(self) -> Following:
        """Begin with all instances, read in one call. A lost connection makes ``next`` raise
        HypervisorUnreachable; what was missed is not made up: follow anew."""
        ...


class Lifecycle(Protocol):
    """Run and stop instances."""

    def create(self, spec: InstanceSpec) -> Instance:
        """Make the disks that do not exist, and define the instance, stopped.

        Raises AlreadyExists, InvalidInput; what was made is removed again on failure.
        """
        ...

    def start(self, name: str, *, paused: bool = False) -> None:
        """``paused``: created with all devices, its processors halted until ``resume``."""
        ...

    def stop(self, name: str, *, force: bool = False, timeout: float = 60.0) -> None:
        """Ask the guest to power down; ``force`` cuts the power at once.

        Raises OperationTimeout when the guest still runs after ``timeout`` seconds. Nothing is
        cut off then: stop again with ``force``.
        """
        ...

    def pause(self, name: str) -> None: ...

    def resume(self, name: str) -> None: ...

    def reset(self, name: str) -> None:
        """As the reset button: the guest is not asked. Raises InvalidState when it is stopped."""
        ...

    def delete(self, name: str, *, disks: bool = False) -> None:
        """Remove a stopped instance; ``disks``: and the disks that only it uses.

        Raises InvalidState while it runs.
        """
        ...


class Clones(Protocol):
    """Make instances from instances."""

    def clone(self, name: str, new: str, *, linked: bool = False) -> Instance:
        """A stopped copy of a stopped instance, with an identity and MAC addresses of its own.

        ``linked``: its disks hold only what differs; the original must not run or change any more,
        and is made a template. Raises InvalidState, AlreadyExists.
        """
        ...

    def make_template(self, name: str) -> None:
        """Mark a stopped instance as one to clone from; it cannot be started until unmarked."""
        ...

    def unmake_template(self, name: str) -> None:
        """Raises InvalidState while linked clones depend on its disks."""
        ...


class Snapshots(Protocol):
    """Points in time that the hypervisor itself keeps."""

    def create(
        self,
        name: str,
        snapshot: str,
        *,
        memory: bool = False,
        quiesce: bool = False,
        description: str = "",
    ) -> Snapshot:
        """``memory``: with the running state, so that reverting resumes there; otherwise disks
        only. ``quiesce``: filesystems are frozen by the guest agent, or it fails.

        Raises AlreadyExists, InvalidState, HypervisorError.
        """
        ...

    def snapshots(self, name: str) -> Sequence[Snapshot]:
        """Parents before children; ``parent`` makes it a tree."""
        ...

    def revert(self, name: str, snapshot: str) -> None:
        """The instance as it was then; what happened since is lost. Raises NotFound."""
        ...

    def delete(self, name: str, snapshot: str, *, children: bool = False) -> None:
        """Forget a snapshot, its content flows into what follows. Raises NotFound."""
        ...


class Metrics(Protocol):
    """What instances use, in one call for all."""

    def metrics(self, names: Collection[str] | None = None) -> Sequence[InstanceMetrics]:
        """Counters since each instance was started; all instances when ``names`` is None."""
        ...


class SerialStream(AbstractContextManager["SerialStream"], Protocol):
    """Both directions of a serial line. One thread reads, another may write."""

    def read(self, timeout: float) -> bytes:
        """What arrived, at most 64 KiB; empty after ``timeout`` seconds of silence. Raises
        HypervisorError once the line is closed."""
        ...

    def write(self, data: bytes) -> None: ...


class Console(Protocol):
    """See what a person in front of the machine would see."""

    def display(self, name: str) -> Display:
        """Where its screen can be watched. Raises InvalidState when it is stopped, NotFound when
        it has none."""
        ...

    def serial(self, name: str) -> SerialStream:
        """Its first serial line; whoever held it before loses it. Raises InvalidState, NotFound."""
        ...

    def screenshot(self, name: str) -> bytes:
        """A PNG of its screen. Raises InvalidState when it is stopped."""
        ...

    def send_keys(self, name: str, keys: Sequence[str]) -> None:
        """Press keys at once and release them: ``("ctrl", "alt", "delete")``, ``("a",)``.

        Names are Linux's without ``KEY_``, in small letters. Raises InvalidInput.
        """
        ...


class GuestAgent(Protocol):
    """Speak with the agent inside the guest. All raise GuestAgentMissing when none answers."""

    def ping(self, name: str) -> None:
        """Returns when the agent answers."""
        ...

    def info(self, name: str) -> GuestInfo: ...

    def freeze(self, name: str, mountpoints: Sequence[str] = ()) -> int:
        """Freeze filesystems (all when none is named); how many were frozen. Whoever calls this
        thaws, also after a failure: a frozen guest hangs."""
        ...

    def thaw(self, name: str) -> int:
        """How many filesystems were thawed. Thawing twice is no error."""
        ...


class Hotplug(Protocol):
    """Change the devices of an instance, running or stopped; the change outlives a restart."""

    def attach_disk(self, name: str, disk: DiskSpec) -> Disk:
        """Raises AlreadyExists when the name of the disk is taken."""
        ...

    def detach_disk(self, name: str, disk: str) -> None:
        """Its content stays. Raises NotFound; OperationTimeout when the guest does not let go."""
        ...

    def attach_nic(self, name: str, nic: NicSpec) -> str:
        """The MAC address it got."""
        ...

    def detach_nic(self, name: str, mac: str) -> None: ...

    def set_vcpus(self, name: str, count: int) -> None:
        """Raises LimitExceeded above what the instance was defined with room for."""
        ...

    def set_memory(self, name: str, size: int) -> None:
        """Bytes. Raises LimitExceeded above what the instance was defined with room for."""
        ...

    def insert_media(self, name: str, image: str, drive: str | None = None) -> str:
        """Put an ISO image into a CD drive (the first when None); the drive's name."""
        ...

    def eject_media(self, name: str, drive: str | None = None) -> None: ...


class LiveMigration(Protocol):
    """Move a running instance to another host of the same kind while it runs."""

    def migrate(
        self,
        name: str,
        destination: str,
        *,
        copy_disks: bool = False,
        bandwidth: int | None = None,
        reporter: Reporter = silent,
    ) -> None:
        """``destination``: URL of the other hypervisor. ``copy_disks``: disks are not shared and
        are copied along. ``bandwidth``: bytes per second. After a failure the instance runs on
        where it was. Raises InvalidState, HypervisorError, Interrupted."""
        ...


class Storage(Protocol):
    """Where disks can be kept."""

    def pools(self) -> Sequence[Pool]: ...

    def pool(self, name: str) -> Pool:
        """Raises NotFound."""
        ...

    def create_pool(self, name: str, folder: str) -> Pool:
        """A folder as a pool, started, and started again with its host. Raises AlreadyExists."""
        ...

    def delete_pool(self, name: str) -> None:
        """Forget a pool; the files in its folder stay."""
        ...

    def volumes(self, pool: str) -> Sequence[Volume]: ...

    def create_volume(self, pool: str, name: str, size: int, format: str = "qcow2") -> Volume:
        """Raises AlreadyExists, LimitExceeded."""
        ...

    def resize_volume(self, pool: str, name: str, size: int) -> Volume:
        """Raises InvalidInput for less than it has: what is behind the end would be lost."""
        ...

    def delete_volume(self, pool: str, name: str) -> None:
        """Raises InvalidState while an instance uses it."""
        ...


class Networks(Protocol):
    """What NICs can be connected to."""

    def networks(self) -> Sequence[Network]: ...

    def create_network(self, network: Network) -> Network:
        """Define and start. Raises AlreadyExists."""
        ...

    def start_network(self, name: str) -> None: ...

    def stop_network(self, name: str) -> None: ...

    def delete_network(self, name: str) -> None: ...


class Hypervisor(Protocol):
    """One endpoint. Parts that it lacks are None."""

    @property
    def url(self) -> str:
        """How it was named, without secrets."""
        ...

    @property
    def host(self) -> Host | None: ...

    @property
    def inventory(self) -> Inventory | None: ...

    @property
    def details(self) -> Details | None: ...

    @property
    def lifecycle(self) -> Lifecycle | None: ...

    @property
    def disks(self) -> Disks | None: ...

    @property
    def checkpoints(self) -> Checkpoints | None: ...

    @property
    def provisioning(self) -> Provisioning | None: ...

    @property
    def leftovers(self) -> Leftovers | None: ...

    @property
    def events(self) -> Events | None: ...

    @property
    def snapshots(self) -> Snapshots | None: ...

    @property
    def clones(self) -> Clones | None: ...

    @property
    def metrics(self) -> Metrics | None: ...

    @property
    def console(self) -> Console | None: ...

    @property
    def guest_agent(self) -> GuestAgent | None: ...

    @property
    def hotplug(self) -> Hotplug | None: ...

    @property
    def live_migration(self) -> LiveMigration | None: ...

    @property
    def storage(self) -> Storage | None: ...

    @property
    def networks(self) -> Networks | None: ...

    @property
    def execution(self) -> Execution | None: ...

    @property
    def logs(self) -> Logs | None: ...

    @property
    def images(self) -> Images | None: ...

    @property
    def archives(self) -> Archives | None: ...

    def close(self) -> None: ...


#: Names of the parts, in the order in which people ask for them.
PARTS = (
    "host",
    "inventory",
    "details",
    "events",
    "lifecycle",
    "clones",
    "snapshots",
    "disks",
    "checkpoints",
    "provisioning",
    "leftovers",
    "metrics",
    "console",
    "guest_agent",
    "hotplug",
    "live_migration",
    "storage",
    "networks",
    "execution",
    "logs",
    "images",
    "archives",
)


def capabilities(hypervisor: Hypervisor) -> tuple[Capability, ...]:
    """Every part, graded by what this hypervisor has of it."""
    return tuple(_graded(name, getattr(hypervisor, name)) for name in PARTS)


def _graded(name: str, part: object) -> Capability:
    if part is None:
        return Capability(name, Grade.NONE)
    limits = part.limits if isinstance(part, Limited) else ()
    return Capability(name, Grade.PARTIAL if limits else Grade.FULL, limits)


def present(hypervisor: Hypervisor) -> tuple[str, ...]:
    """Names of the parts that this hypervisor has, in whole or in part."""
    return tuple(name for name in PARTS if getattr(hypervisor, name) is not None)
