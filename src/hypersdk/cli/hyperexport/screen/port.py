"""What the screen needs: the only way from it to hypervisors and files.

The screen calls ``pages``, ``details``, ``plan`` and ``export`` from worker threads, never from the
one that draws; several at the same time. What they report arrives from any thread. They raise
HyperSDKError, which is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from hypersdk import CancelToken, HyperSDKError, Instance, Interrupted, Progress
from hypersdk.model.concerns import Concern, Severity
from hypersdk.model.details import InstanceDetails


@dataclass(frozen=True, slots=True)
class Row:
    """One instance of one hypervisor."""

    #: As the person named it: a URL, or a name from the settings.
    hypervisor: str
    instance: Instance

    @property
    def key(self) -> tuple[str, str]:
        """Tells it from all others."""
        return self.hypervisor, self.instance.id or self.instance.name

    @property
    def path(self) -> str:
        """Folder and name: what is searched."""
        instance = self.instance
        return f"{instance.folder}/{instance.name}" if instance.folder else instance.name

    @property
    def size(self) -> int:
        """Bytes of its disks."""
        return sum(disk.size for disk in self.instance.disks)


@dataclass(frozen=True, slots=True)
class Page:
    """Some more instances."""

    rows: tuple[Row, ...] = ()
    #: A hypervisor that could not be listed, and why: a sentence. The others are.
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """How to export: what the person chose on the screen, over what the command line said."""

    #: Folder that gets a folder for each instance.
    output: str = "exports"
    format: str = "ovf"
    #: Disks of one instance at the same time.
    parallel: int = 4
    compress: bool = False
    verify: bool = False
    manifest: bool = False
    power_off: bool = False
    overwrite: bool = False
    #: URL of a place; empty: nowhere.
    upload: str = ""
    keep_local: bool = True
    #: Public keys that shall be able to decrypt; without any it is as the command line said.
    recipients: tuple[str, ...] = ()
    #: Name of the profile that was chosen; empty: none.
    profile: str = ""
    #: Options that it sets, by name; those above come before.
    preset: Mapping[str, Any] = field(default_factory=dict)
    #: Begin although something critical was found.
    force: bool = False

    def values(self) -> dict[str, Any]:
        """All of them by the names of the command's options."""
        own = {name: getattr(self, name) for name in _OWN}
        sealed = {"encrypt": True} if self.recipients else {}
        return {**self.preset, **own, **sealed}

    def with_profile(self, name: str, settings: Mapping[str, Any]) -> Choices:
        """These, with what a profile sets laid over them."""
        shown = {key: value for key, value in settings.items() if key in _OWN}
        if "recipients" in shown:
            shown["recipients"] = tuple(shown["recipients"])
        return replace(self, **shown, profile=name, preset=settings)


#: Options that the screen shows.
_OWN = (
    "output",
    "format",
    "parallel",
    "compress",
    "verify",
    "manifest",
    "power_off",
    "overwrite",
    "upload",
    "keep_local",
    "recipients",
    "force",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What an export of one instance would do. Bytes."""

    row: Row
    #: Folder of its files.
    folder: str = ""
    #: Virtual size of what is read, and at most so much of it is data.
    size: int = 0
    to_read: int = 0
    #: Room that its files need; None: not known.
    room_needed: int | None = None
    room_free: int | None = None
    #: How its disks are read: a sentence.
    reading: str = ""
    concerns: tuple[Concern, ...] = ()
    #: Why there is no plan.
    error: HyperSDKError | None = None

    @property
    def blocked(self) -> bool:
        """It is not begun unless the person insists."""
        critical = any(each.severity is Severity.CRITICAL for each in self.concerns)
        return critical or self.error is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How the export of one instance ended."""

    row: Row
    #: Where its files are.
    place: str = ""
    #: Bytes of all files.
    size: int = 0
    seconds: float = 0.0
    error: HyperSDKError | None = None

    @property
    def interrupted(self) -> bool:
        """The person ended it."""
        return isinstance(self.error, Interrupted)


#: Receives what is known of one task of an instance (a disk); must return quickly.
RowReporter = Callable[[Row, Progress], None]
Settled = Callable[[Outcome], None]


class ScreenPort(Protocol):
    """What the screen needs."""

    @property
    def hypervisors(self) -> Sequence[str]:
        """Those that are listed, as the person named them."""
        ...

    def pages(self) -> Iterator[Page]:
        """All instances, a few hundred at a time, the first ones soon."""
        ...

    def details(self, row: Row) -> InstanceDetails:
        """All that its hypervisor tells of it."""
        ...

    def plan(self, row: Row, choices: Choices) -> Planned:
        """What its export would do, and what may go wrong. Changes nothing."""
        ...

    def profiles(self) -> Mapping[str, Mapping[str, Any]]:
        """Titles of profiles and templates, and the options that each sets. No network."""
        ...

    def export(
        self,
        rows: Sequence[Row],
        choices: Choices,
        reporter: RowReporter,
        settled: Settled,
        cancel: CancelToken,
    ) -> None:
        """Export them, several at a time. Each is settled once, in whatever order they end, also
        those that fail or were not begun. Returns when all are settled; raises nothing of what
        concerns one instance."""
        ...
