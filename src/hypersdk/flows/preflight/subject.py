"""What rules look at: the instance, and where it is to go. None is always: not known."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from hypersdk.model.details import InstanceDetails
from hypersdk.model.instances import InstanceState


class Errand(Enum):
    """What is to be done."""

    EXPORT = "export"
    IMPORT = "import"


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """Where an export is to go."""

    folder: Path
    #: ``ovf``, ``ova``, ``qcow2``, ``raw``, ``vmdk``, ``vhd``, ``vhdx``, ``vdi``.
    format: str = "ovf"
    #: URL of a place that gets the files afterwards; empty for none.
    upload: str = ""
    #: What is in the folder may be replaced.
    overwrite: bool = False
    #: An unfinished export there is to be continued.
    resume: bool = False
    #: What is exported is converted for another hypervisor afterwards.
    converts: bool = False
    #: Bytes that the plan says are needed; None: what the disks hold.
    needed: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DestinationFacts:
    """What was found at a destination, without changing it."""

    folder: Path
    format: str
    #: Why it cannot be written; empty when it can; None: not known.
    unwritable: str | None = None
    #: Bytes of its file system that we may use, and all of it.
    free: int | None = None
    total: int | None = None
    #: Bytes that the export will take.
    needed: int | None = None
    #: Finished files of an export of this name.
    existing: tuple[str, ...] = ()
    #: Files of an export of this name that was not finished.
    unfinished: tuple[str, ...] = ()
    overwrite: bool = False
    resume: bool = False
    #: What is exported is converted for another hypervisor afterwards.
    converts: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ArrivalFacts:
    """What was found where a package is to become an instance."""

    #: URL of the hypervisor, without secrets.
    hypervisor: str
    package: Path
    #: Why the package cannot be read; empty when it can.
    unreadable: str = ""
    #: Files that its descriptor names and that are not there.
    missing_files: tuple[str, ...] = ()
    #: An instance of that name is there already.
    exists: bool | None = None
    #: The hypervisor builds instances from what the package holds; None: not known.
    accepted: bool | None = None
    #: Kinds of definitions that it builds from.
    kinds: tuple[str, ...] = ()
    #: Networks of the hypervisor; None: not known.
    networks: tuple[str, ...] | None = None
    #: Networks that the package names, as they were mapped.
    wanted_networks: tuple[str, ...] = ()
    #: Bytes, where new disks go.
    free: int | None = None
    #: What its hosts have, and what they allow for one instance.
    memory: int | None = None
    vcpus: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """All that a rule may look at."""

    errand: Errand
    details: InstanceDetails
    destination: DestinationFacts | None = None
    arrival: ArrivalFacts | None = None

    @property
    def name(self) -> str:
        return self.details.instance.name

    @property
    def running(self) -> bool:
        """Its disks change while they are read, unless a snapshot is taken."""
        return self.details.instance.state in {InstanceState.RUNNING, InstanceState.PAUSED}
