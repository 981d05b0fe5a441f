"""The ``disks`` part: which way an instance is read, and who may write to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from hypersdk.datapath import imageinspect
from hypersdk.datapath.cancel import CancelToken
from hypersdk.datapath.image import ExistingImage
from hypersdk.datapath.ports import BlockSink, BlockSource
from hypersdk.datapath.raw import RawSink, RawSource
from hypersdk.drivers.diskports import BackupView, ViewOptions
from hypersdk.drivers.qmp import process
from hypersdk.drivers.qmp.commandline import ALLOW_BACKING
from hypersdk.drivers.qmp.definition import MachineRecord
from hypersdk.drivers.qmp.guestagent import QmpGuestAgent
from hypersdk.drivers.qmp.leftovers import clean_view
from hypersdk.drivers.qmp.power import Power, refuse_unless_stopped
from hypersdk.drivers.qmp.running import RunningView
from hypersdk.drivers.qmp.state import Root
from hypersdk.drivers.qmp.stopped import StoppedView
from hypersdk.drivers.qmp.viewparts import file_views
from hypersdk.model.errors import HyperSDKError
from hypersdk.model.instances import Disk


class QmpDisks:
    """May be used by any number of threads."""

    def __init__(self, root: Root, power: Power) -> None:
        self._root = root
        self._power = power

    def view(
        self, name: str, since: Mapping[str, str], options: ViewOptions | None = None
    ) -> BackupView:
        """See the port. What a killed run left of this instance is cleaned up before."""
        folder = self._root.find(name)
        clean_view(self._power, folder)
        # The lock only until the view has begun: nobody starts, stops or reverts it meanwhile.
        with folder.locked() as machine:
            chosen = options or ViewOptions()
            if process.is_alive(folder.run):
                state = self._power.state(folder, machine.name)
                agent = QmpGuestAgent(self._root, self._power)
                return RunningView(self._power, folder, machine, state, since, chosen, agent)
            return StoppedView(self._power, folder, machine, since, chosen)

    def rewrite(self, name: str) -> QmpRewriting:
        """See the port. QEMU's own locks keep the instance from being started meanwhile."""
        folder = self._root.find(name)
        with folder.locked() as machine:
            state = self._power.state(folder, machine.name)
            refuse_unless_stopped(state, machine.name, "its disks cannot be written")
            return QmpRewriting(machine)


class QmpRewriting:
    """The disks of a stopped instance, open for changes."""

    def __init__(self, machine: MachineRecord) -> None:
        self._open = ExitStack()
        self._images: dict[str, ExistingImage] = {}
        files = file_views(machine)
        self._files = {view.disk.name: view.disk.path for view in files}
        try:
            for disk in machine.disks:
                info = imageinspect.inspect(disk.path, disk.format, ALLOW_BACKING)
                self._images[disk.name] = self._open.enter_context(ExistingImage(info))
        except BaseException:
            self._open.close()
            raise
        self.disks: Sequence[Disk] = [
            *(disk.observed() for disk in machine.disks),
            *(view.disk for view in files),
        ]

    def source(self, disk: str) -> BlockSource:
        """See the port."""
        if disk in self._files:
            return RawSource(self._files[disk])
        return self._images[disk].source()

    def sink(self, disk: str) -> BlockSink:
        """See the port."""
        if disk in self._files:
            return RawSink.open_existing(self._files[disk])
        return self._images[disk].clone()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        problems = []
        with self._open, CancelToken().scope():  # whose work was cancelled tidies up all the same
            for image in self._images.values():
                try:  # also after a failure: killed, it would not save the records of its changes
                    image.commit()
                except HyperSDKError as problem:
                    problems.append(problem)
        if error is None and problems:
            raise problems[0]
