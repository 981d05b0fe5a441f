"""Move a running mock instance into the folder of another mock hypervisor.

Its disks are copied as they were at one moment while the guest writes on; then it stands still for
as long as it takes to copy what it has changed since. Checkpoints do not go along: the next backup
reads its disks in full.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from hypersdk.datapath.cancel import token_in_force
from hypersdk.drivers.mock import sparse
from hypersdk.drivers.mock.address import Address
from hypersdk.drivers.mock.chain import Chain
from hypersdk.drivers.mock.definition import MockDefinition, MockDisk
from hypersdk.drivers.mock.drafts import Draft
from hypersdk.drivers.mock.errors import native
from hypersdk.drivers.mock.files import replace_file
from hypersdk.drivers.mock.fleece import Fleece
from hypersdk.drivers.mock.folder import ACTIVE, InstanceFolder
from hypersdk.drivers.mock.journal import GRANULE
from hypersdk.drivers.mock.networks import require_networks
from hypersdk.drivers.mock.root import Root
from hypersdk.model.errors import (
    AlreadyExists,
    HypervisorError,
    InstanceNotFound,
    InvalidInput,
    InvalidState,
)
from hypersdk.model.extents import ExtentKind
from hypersdk.model.instances import InstanceState
from hypersdk.model.progress import Progress, Reporter, silent

#: Bytes copied at once.
_STEP = 1 << 20


class MockLiveMigration:
    """The ``live_migration`` part."""

    def __init__(self, root: Root) -> None:
        self._root = root

    def migrate(
        self,
        name: str,
        destination: str,
        *,
        copy_disks: bool = False,
        bandwidth: int | None = None,
        reporter: Reporter = silent,
    ) -> None:
        """Folders share no disks, so ``copy_disks`` must be set. Raises InvalidInput,
        AlreadyExists, LimitExceeded."""
        folder = self._root.find(name)
        address = Address.of(destination)
        if bandwidth is not None and bandwidth <= 0:
            raise InvalidInput(
                f"a bandwidth of {bandwidth} bytes per second moves nothing", hint="Leave it out."
            )
        if address.path.absolute() == self._root.path:
            raise InvalidInput(f"'{name}' is on {destination} already", hint="Name another one.")
        definition = self._check_source(folder, name, copy_disks)
        target = Root(address.path, address.config, self._root.clock)
        self._check_target(target, definition)
        with native(f"migrate '{name}' to {destination}"), target.draft(definition) as draft:
            draft.fill()
            with self._moment(folder, definition) as moment:
                line = _Line(name, definition, bandwidth, reporter, self._root.clock.sleep)
                for disk in definition.disks:
                    self.copy_moment(moment, draft, disk, line)
                with folder.locked():
                    self._switch_over(moment, draft, target)
                line.finish()

    def copy_moment(self, moment: _Moment, draft: Draft, disk: MockDisk, line: _Line) -> None:
        """The disk as it was when the migration began; the guest writes on meanwhile."""
        opened = moment.fleece.open(disk, moment.folder.disk_path(disk))
        with closing(opened) as source, draft.folder.disk_path(disk).open("r+b") as file:
            for extent in source.kinds(0, disk.size):
                if extent.kind is ExtentKind.DATA:
                    for offset in range(extent.start, extent.end, _STEP):
                        buffer = memoryview(bytearray(min(_STEP, extent.end - offset)))
                        source.readinto(offset, buffer)
                        sparse.write_all(file.fileno(), offset, buffer)
                        line.sent(len(buffer))
                line.passed(extent.length)

    def copy_rest(self, moment: _Moment, draft: Draft, disk: MockDisk) -> None:
        """What the guest has changed since. Under its lock: it stands still."""
        changed = moment.chain.changes(moment.checkpoint, disk)
        if isinstance(changed, str):
            raise HypervisorError(
                f"what changed on disk '{disk.name}' is not known: {changed}", hint="Try again."
            )
        source = os.open(moment.folder.disk_path(disk), os.O_RDONLY | os.O_CLOEXEC)
        try:
            with draft.folder.disk_path(disk).open("r+b") as file:
                for start, end in changed:
                    begin, stop = start * GRANULE, min(end * GRANULE, disk.size)
                    sparse.punch(file.fileno(), begin, stop - begin)
                    sparse.copy_data(source, file.fileno(), begin, stop)
        finally:
            os.close(source)

    def _switch_over(self, moment: _Moment, draft: Draft, target: Root) -> None:
        """At no moment it runs twice; being killed in here leaves it stopped where it was."""
        folder, definition = moment.folder, draft.definition
        before = folder.run()
        if folder.definition() != definition or before.state not in ACTIVE:
            raise InvalidState(
                f"'{definition.name}' was changed or stopped while it migrated", hint="Try again."
            )
        for disk in definition.disks:
            self.copy_rest(moment, draft, disk)
        now = self._root.clock.now()
        used = before.processor_time(definition, now)
        since = now if before.state is InstanceState.RUNNING else 0.0
        run = replace(before, cpu=used, since=since)
        replace_file(draft.folder.path / "state.json", run.encode(), durable=False)
        folder.set_state(InstanceState.STOPPED, "migrated")
        try:
            with target.changing():
                target.check_memory_room(definition, definition.memory)
            target.publish(draft)
        except BaseException:
            folder.set_run(run, "migration failed")
            raise
        moment.fleece.end()
        self._root.remove(folder, keep_disks=False)

    @contextmanager
    def _moment(self, folder: InstanceFolder, definition: MockDefinition) -> Iterator[_Moment]:
        """The disks as they are now, and a record of what changes from now on."""
        with folder.locked():
            chain = Chain(folder.path / "checkpoints")
            checkpoint = chain.begin(definition.disks, self._root.clock.now())
            fleece = Fleece(folder.path / "views" / checkpoint, definition.disks)
        try:
            yield _Moment(folder, chain, checkpoint, fleece)
        finally:
            with suppress(InstanceNotFound), folder.locked():  # it has moved
                fleece.end()
                chain.drop(checkpoint)

    def _check_source(self, folder: InstanceFolder, name: str, copy_disks: bool) -> MockDefinition:
        state = folder.state()
        if state not in ACTIVE:
            raise InvalidState(
                f"'{name}' is {state.value}", hint="Start it, or clone or restore it instead."
            )
        if not copy_disks:
            raise InvalidState(
                f"the disks of '{name}' are not shared with the destination",
                hint="Have them copied along.",
            )
        if any((folder.path / "snapshots").glob("[!.]*/snapshot.json")):
            raise InvalidState(
                f"'{name}' has snapshots, which do not migrate", hint="Delete them first."
            )
        return folder.definition()

    def _check_target(self, target: Root, definition: MockDefinition) -> None:
        target.check()
        require_networks(target, definition.nics, active=True)
        with suppress(InstanceNotFound):
            there = target.find(definition.id)
            raise AlreadyExists(
                f"the destination has it already, as '{there.definition().name}'",
                hint="Delete it there.",
            )


@dataclass(frozen=True, slots=True)
class _Moment:
    """What is copied from."""

    folder: InstanceFolder
    chain: Chain
    checkpoint: str
    fleece: Fleece


class _Line:
    """Between the two: as fast as it may be, reporting, and cut when nobody wants it any more."""

    def __init__(
        self,
        name: str,
        definition: MockDefinition,
        bandwidth: int | None,
        reporter: Reporter,
        sleep: Callable[[float], Any],
    ) -> None:
        self._name = name
        self._total = sum(disk.size for disk in definition.disks)
        self._bandwidth = bandwidth
        self._reporter = reporter
        self._sleep = sleep
        self._done = self._sent = 0
        self._began = time.monotonic()

    def sent(self, length: int) -> None:
        """Raises Interrupted."""
        token_in_force().check()
        self._sent += length
        if self._bandwidth:
            self._sleep(length / self._bandwidth)

    def passed(self, length: int) -> None:
        """Bytes of disk that are done with, sent or not."""
        token_in_force().check()
        self._done += length
        self._report(finished=False)

    def finish(self) -> None:
        self._done = self._total
        self._report(finished=True)

    def _report(self, *, finished: bool) -> None:
        self._reporter(
            Progress(
                task=self._name,
                done=self._done,
                total=self._total,
                read=self._sent,
                stored=self._sent,
                seconds=time.monotonic() - self._began,
                finished=finished,
            )
        )
