"""The ``disks`` part: which way an instance is read, and who may write to it."""

from __future__ import annotations

from collections.abc import Mapping

from hypersdk.datapath import imageinspect
from hypersdk.drivers.diskports import BackupView, ViewOptions
from hypersdk.drivers.qemu.rewriting import ImageRewriting
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

    def rewrite(self, name: str) -> ImageRewriting:
        """See the port. QEMU's own locks keep the instance from being started meanwhile."""
        folder = self._root.find(name)
        with folder.locked() as machine:
            state = self._power.state(folder, machine.name)
            refuse_unless_stopped(state, machine.name, "its disks cannot be written")
            return _rewriting(machine)


def _rewriting(machine: MachineRecord) -> ImageRewriting:
    files = file_views(machine)
    return ImageRewriting(
        [*(disk.observed() for disk in machine.disks), *(view.disk for view in files)],
        {
            disk.name: imageinspect.inspect(disk.path, disk.format, ALLOW_BACKING)
            for disk in machine.disks
        },
        {view.disk.name: view.disk.path for view in files},
    )
