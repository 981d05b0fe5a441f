"""What the kit must know of a hypervisor to test it: how to connect, what to start, where to look.

A driver's author gives a ``Target``. Without an ``Observer`` cases that look into the backend are
skipped, with that reason; a driver tested without one has proven less, and the report says so.

What only some targets can do beyond that is a small protocol each (``MakesForeign``, ``Removes``,
``Crashes``, ``HasStubborn``, ``HasNic``,
``HasDestination``): a target that has the method has it, nothing is declared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from hypersdk.drivers.ports import Hypervisor
from hypersdk.model.instances import InstanceState
from hypersdk.model.specs import DiskSpec, InstanceSpec, NicSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """An instance as its backend shows it (cgroup files, ``docker inspect``, domain XML, QMP,
    ``/proc``), found without the driver. None: this backend has no such thing."""

    id: str = ""
    state: InstanceState | None = None
    vcpus: int | None = None
    cpu_weight: int | None = None
    cpu_limit: float | None = None
    #: Bytes.
    memory: int | None = None
    pids_limit: int | None = None
    env: Mapping[str, str] | None = None
    #: Disk → bytes.
    disks: Mapping[str, int] | None = None
    #: MAC addresses; of containers the names of their networks.
    nics: tuple[str, ...] | None = None


class Observer(Protocol):
    """Looks into the backend past the driver: with the backend's own command, or its files."""

    def look(self, name: str) -> Observation | None:
        """None when there is no such instance."""
        ...

    def resources(self) -> frozenset[str]:
        """All that instances leave in the backend, a line each: domains, processes, containers,
        images, volumes, disk files, sockets. Compared before and after each case."""
        ...


class Guest(Protocol):
    """Reads and writes the disk of an instance as its guest would, past the driver.

    It works on stopped and on running instances. What it wrote is on the disk when it returns.
    It raises InvalidState where the backend lets nobody write, as to a stopped disk being read.
    """

    #: Disk of ``Target.spec`` that it works on; ``rootfs`` for a container.
    disk: str

    def write(self, name: str, offset: int, data: bytes) -> None: ...

    def zero(self, name: str, offset: int, length: int) -> None: ...

    def read(self, name: str, offset: int, length: int) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectations:
    """What the instances of a target can do, and how long they may take. Seconds."""

    #: The guest powers down when it is asked to.
    obeys_stop: bool = True
    start: float = 30.0
    stop: float = 30.0
    #: Guests need to boot before they obey; waited after ``start``.
    boot: float = 0.0
    #: Instances that are made at once in the cases about concurrency.
    many: int = 100
    #: One of the cases about concurrency also runs that many at once; 0: stopped ones suffice.
    running: int = 4
    #: For so long the kit waits for what comes by itself: an event, a counter that grows.
    patience: float = 20.0
    #: Format of the volumes that its pools make.
    volumes: str = "qcow2"
    #: For so long the backend may tidy up behind a case before what is left counts as a leak.
    settle: float = 5.0


class Target(Protocol):
    """One hypervisor under test. `hypersdk.conformance.targets` has those of our drivers."""

    @property
    def url(self) -> str: ...

    @property
    def observer(self) -> Observer | None: ...

    @property
    def guest(self) -> Guest | None: ...

    @property
    def expectations(self) -> Expectations: ...

    def connect(self) -> Hypervisor:
        """A new connection; the kit closes it."""
        ...

    def spec(self, name: str) -> InstanceSpec:
        """The smallest instance that starts and keeps running, with a disk where it can have one.
        The kit changes vCPUs, memory, tags and the like of it, and nothing it does not name."""
        ...

    def disk(self, name: str) -> DiskSpec | None:
        """A small empty disk for hotplug; None where disks cannot be plugged in."""
        ...

    def disconnect(self, hypervisor: Hypervisor) -> bool:
        """Cut the connection of ``hypervisor`` as a network would; False where there is none to
        cut. The backend stays reachable for whoever connects anew."""
        ...

    def close(self) -> None:
        """Undo what the target itself has set up."""
        ...


@runtime_checkable
class MakesForeign(Protocol):
    """A target that can act as another program would at the same hypervisor."""

    def make_foreign(self, name: str) -> None:
        """A stopped instance of this name, made past the driver, without our mark. The kit
        deletes it through the driver."""
        ...


@runtime_checkable
class Removes(Protocol):
    """A target that can remove instances behind the driver's back."""

    def remove(self, name: str) -> None:
        """Remove a stopped instance with its disks past the driver, as the backend's own command
        would."""
        ...


@runtime_checkable
class Crashes(Protocol):
    """A target whose instances can be made to crash."""

    def crash(self, name: str) -> None:
        """Returns when the backend shows the running instance as crashed."""
        ...


@runtime_checkable
class HasStubborn(Protocol):
    """A target that also has instances which do not power down when they are asked to.

    Where ``Expectations.obeys_stop`` is False, those of ``Target.spec`` are such already.
    """

    def stubborn(self, name: str) -> InstanceSpec: ...


@runtime_checkable
class HasNic(Protocol):
    """A target that says which NIC the kit shall give to instances and plug into them.

    Without it: one of the first active network, or of user-mode networking where there is none.
    """

    def nic(self) -> NicSpec: ...


@runtime_checkable
class HasFile(Protocol):
    """A guest that works in a file of its filesystem: its instances are read as archives."""

    @property
    def file(self) -> str:
        """Name of the file in the archive."""
        ...


@runtime_checkable
class HasDestination(Protocol):
    """A target with a second hypervisor of the same kind, to which running instances can move."""

    def destination(self) -> str:
        """Its URL."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What this place has to test with; ``--site FILE`` of the runner. Paths and names."""

    #: Container image whose first process keeps running; empty: made from busybox.
    image: str = ""
    #: A kernel and initramfs that boot, for machines; empty: machines without an operating system,
    #: which do not obey a graceful stop.
    kernel: str = ""
    initrd: str = ""
    kernel_arguments: str = ""
    #: Folder for disks; empty: a temporary one.
    folder: str = ""
    #: ``kvm``, ``tcg``; empty: whatever works.
    acceleration: str = ""
    #: For drivers of others.
    extra: Mapping[str, str] = field(default_factory=dict)
