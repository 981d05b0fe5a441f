"""Read the disks of mock instances: views of one moment, in full or what changed."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from hypersdk.datapath.handle import Handle
from hypersdk.drivers.diskports import ViewOptions
from hypersdk.drivers.mock.chain import Chain
from hypersdk.drivers.mock.contents import refuse_torn
from hypersdk.drivers.mock.definition import MockDefinition, MockDisk
from hypersdk.drivers.mock.errors import native
from hypersdk.drivers.mock.fleece import Fleece, FleecedFile, live
from hypersdk.drivers.mock.folder import ACTIVE, InstanceFolder
from hypersdk.drivers.mock.freezing import frozen_for_a_moment
from hypersdk.drivers.mock.journal import RunSet, split_bytes
from hypersdk.drivers.mock.rewriting import MockRewriting
from hypersdk.drivers.mock.root import Root
from hypersdk.model.errors import DataPathError, NotFound
from hypersdk.model.extents import Extent, ExtentKind
from hypersdk.model.instances import Consistency, Definition, Disk, Instance, InstanceState

DEFINITION_KIND = "mock-json"


class MockDisks:
    """The ``disks`` part."""

    def __init__(self, root: Root) -> None:
        self._root = root

    def view(
        self, name: str, since: Mapping[str, str], options: ViewOptions | None = None
    ) -> MockBackupView:
        """All disks at this moment, which is also the moment of a new checkpoint."""
        options = options or ViewOptions()
        folder = self._root.find(name)
        with folder.locked(), native(f"begin a backup of '{name}'"):
            refuse_torn(folder)
            content = folder.definition_bytes()
            definition = MockDefinition.decode(content)
            chain = Chain(folder.path / "checkpoints")
            wanted = {token.checkpoint for token in map(Token.parse, since.values()) if token}
            chain.settle(live(folder.path / "views"), wanted)
            changes = {
                disk.name: _changes(chain, definition, disk, since.get(disk.name))
                for disk in definition.disks
            }
            with self._frozen(folder, options) as frozen:
                checkpoint = chain.begin(definition.disks, self._root.clock.now())
                fleece = Fleece(folder.path / "views" / checkpoint, definition.disks)
            view = MockBackupView(folder, content, chain, checkpoint, fleece, changes, frozen)
        return view.without(options.exclude)

    def _frozen(self, folder: InstanceFolder, options: ViewOptions) -> AbstractContextManager[bool]:
        """Whether filesystems stand still for the moment of the view."""
        answers = self._root.config.guest_agent and folder.state() is InstanceState.RUNNING
        return (
            frozen_for_a_moment(folder.path) if answers and options.freeze else nullcontext(False)
        )

    def rewrite(self, name: str) -> MockRewriting:
        """See the port."""
        return MockRewriting(self._root.find(name))


@dataclass(frozen=True, slots=True)
class Token:
    """Names a checkpoint to a later backup: ``mock:<instance id>:<disk id>:<checkpoint>``."""

    instance: str
    disk: str
    checkpoint: str

    def __str__(self) -> str:
        return f"mock:{self.instance}:{self.disk}:{self.checkpoint}"

    @classmethod
    def parse(cls, text: str) -> Token | None:
        """None for anything that is not a token of this driver."""
        match text.split(":"):
            case ["mock", instance, disk, checkpoint]:
                return cls(instance, disk, checkpoint)
            case _:
                return None


def _changes(
    chain: Chain, definition: MockDefinition, disk: MockDisk, text: str | None
) -> RunSet | str:
    """Granules changed since the token, or why the disk has to be read in full."""
    if text is None:
        return "no earlier checkpoint was named"
    token = Token.parse(text)
    if token is None:
        return "the checkpoint token is not one of this hypervisor"
    if token.instance != definition.id:
        return "the checkpoint belongs to another instance"
    if token.disk != disk.id:
        return "the checkpoint belongs to another disk"
    return chain.changes(token.checkpoint, disk)


class MockBackupView:
    """All disks of one instance at one moment."""

    def __init__(
        self,
        folder: InstanceFolder,
        content: bytes,
        chain: Chain,
        checkpoint: str,
        fleece: Fleece,
        changes: Mapping[str, RunSet | str],
        frozen: bool = False,
    ) -> None:
        self._frozen = frozen
        self._folder = folder
        self._content = content
        self._chain = chain
        self._checkpoint = checkpoint
        self._fleece = fleece
        self._ended = threading.Event()
        self._kept = False
        self._instance = folder.observe()
        definition = MockDefinition.decode(content)
        self._disks = tuple(
            MockDiskView(
                observed,
                str(Token(definition.id, disk.id, checkpoint)),
                changes[disk.name],
                _Moment(folder, disk, fleece, self._ended),
            )
            for observed, disk in zip(self._instance.disks, definition.disks, strict=True)
        )

    def without(self, exclude: frozenset[str]) -> Self:
        """Leave out these disks. Raises NotFound for one that is not there."""
        if missing := exclude - {view.disk.name for view in self._disks}:
            self.__exit__(None, None, None)
            raise NotFound(
                f"'{self._instance.name}' has no disk {', '.join(sorted(missing))} to exclude"
            )
        self._disks = tuple(view for view in self._disks if view.disk.name not in exclude)
        return self

    @property
    def instance(self) -> Instance:
        return self._instance

    @property
    def warnings(self) -> Sequence[str]:
        return ()

    def confirm(self) -> None:
        """Views keep their moment by themselves."""

    @property
    def disks(self) -> Sequence[MockDiskView]:
        return self._disks

    @property
    def consistency(self) -> Consistency:
        """Without a guest agent a running instance is as after a power cut."""
        if self._instance.state not in ACTIVE:
            return Consistency.OFFLINE
        return Consistency.FILESYSTEM if self._frozen else Consistency.CRASH

    @property
    def definition(self) -> Definition:
        return Definition(DEFINITION_KIND, self._content)

    def keep_checkpoints(self) -> None:
        """See the port. The newest few stay (``chain.KEPT``)."""
        with self._folder.locked(), native(f"keep a checkpoint of '{self._instance.name}'"):
            self._chain.keep(self._checkpoint)
            self._kept = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._ended.is_set():
            return
        self._ended.set()
        with self._folder.locked(), native(f"end a backup of '{self._instance.name}'"):
            self._fleece.end()
            if not self._kept:
                self._chain.drop(self._checkpoint)


@dataclass(frozen=True, slots=True)
class _Moment:
    """One disk at the moment of the view, from which sources are opened."""

    folder: InstanceFolder
    disk: MockDisk
    fleece: Fleece
    ended: threading.Event

    def open(self) -> FleecedFile:
        self.check()
        return self.fleece.open(self.disk, self.folder.disk_path(self.disk))

    def check(self) -> None:
        if self.ended.is_set():
            raise DataPathError(
                f"the backup view of disk '{self.disk.name}' has ended",
                hint="Read its disks before leaving the view.",
            )


class MockDiskView:
    """One disk of a view."""

    def __init__(self, disk: Disk, checkpoint: str, changes: RunSet | str, moment: _Moment) -> None:
        self._disk = disk
        self._checkpoint = checkpoint
        self._changes = changes
        self._moment = moment

    @property
    def disk(self) -> Disk:
        return self._disk

    @property
    def checkpoint(self) -> str:
        return self._checkpoint

    @property
    def incremental(self) -> bool:
        return isinstance(self._changes, RunSet)

    @property
    def reason(self) -> str:
        if isinstance(self._changes, str):
            return self._changes
        return "changed blocks from the journal of the mock hypervisor"

    def open(self, *, full: bool = False) -> ViewSource:
        changed = self._changes if isinstance(self._changes, RunSet) and not full else None
        return ViewSource(self._moment, changed)


class ViewSource(Handle):
    """A ``BlockSource`` on one disk of a view.

    Listing extents costs as much as there are changes, and for a full read as much as the disk's
    file has holes; the size of the disk does not matter.
    """

    def __init__(self, moment: _Moment, changed: RunSet | None) -> None:
        self._moment = moment
        self._changed = changed
        with native(f"open disk '{moment.disk.name}'"):
            self._file = moment.open()

    @property
    def size(self) -> int:
        return self._file.size

    def extents(self, start: int = 0, length: int | None = None) -> Iterator[Extent]:
        end = self.size if length is None else start + length
        self._check_range(start, end)
        with native(f"map disk '{self._moment.disk.name}'"):
            for begin, stop, changed in self._asked(start, end):
                if changed:
                    yield from self._live_kinds(begin, stop)
                else:
                    yield Extent(begin, stop - begin, ExtentKind.UNCHANGED)

    def readinto(self, offset: int, buffer: memoryview) -> None:
        self._check_range(offset, offset + len(buffer))
        self._moment.check()
        name = self._moment.disk.name
        with native(f"read disk '{name}'"):
            good = self._file.readinto(offset, buffer)
        self._moment.check()  # the view may have ended meanwhile, and with it the isolation
        if good < len(buffer):
            raise DataPathError(
                f"disk '{name}' ends at {offset + good} bytes, {self.size} were promised",
                hint="Something other than the hypervisor changed the file.",
            )

    def clone(self) -> ViewSource:
        return ViewSource(self._moment, self._changed)

    def close(self) -> None:
        self._file.close()

    def _asked(self, start: int, end: int) -> Iterator[tuple[int, int, bool]]:
        if self._changed is None:
            return iter([(start, end, True)] if end > start else [])
        return split_bytes(self._changed, start, end)

    def _live_kinds(self, start: int, end: int) -> Iterator[Extent]:
        for extent in self._file.kinds(start, end):
            self._moment.check()
            yield extent

    def _check_range(self, start: int, end: int) -> None:
        if not 0 <= start <= end <= self.size:
            raise DataPathError(
                f"bytes {start} … {end} are outside disk '{self._moment.disk.name}', "
                f"which has {self.size} bytes"
            )
