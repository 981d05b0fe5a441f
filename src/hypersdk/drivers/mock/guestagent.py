"""The agent inside the guests of a mock hypervisor, when its configuration gives them one."""

from __future__ import annotations

import os
from collections.abc import Sequence

from hypersdk.drivers.mock.errors import native
from hypersdk.drivers.mock.folder import InstanceFolder
from hypersdk.drivers.mock.freezing import freeze, thaw
from hypersdk.drivers.mock.root import Root
from hypersdk.model.errors import GuestAgentMissing, InvalidInput
from hypersdk.model.instances import InstanceState
from hypersdk.model.machines import GuestFilesystem, GuestInfo


class MockGuestAgent:
    """The ``guest_agent`` part. A guest has a filesystem on each of its disks: the first is at
    ``/``, the others at ``/mnt/<disk>``. It answers while it runs."""

    def __init__(self, root: Root) -> None:
        self._root = root

    def ping(self, name: str) -> None:
        self._answering(name)

    def info(self, name: str) -> GuestInfo:
        folder = self._answering(name)
        definition = folder.definition()
        filesystems = []
        with native(f"look at the disks of '{name}'"):
            for mountpoint, disk in zip(self._mountpoints(folder), definition.disks, strict=True):
                used = os.stat(folder.disk_path(disk)).st_blocks * 512
                filesystems.append(GuestFilesystem(mountpoint, "mockfs", disk.size, used))
        said = definition.settings.get("cloud_init") or {}
        return GuestInfo(
            hostname=said.get("hostname") or definition.name,
            os="mock",
            kernel=os.uname().release,
            agent_version="1",
            addresses=(),
            filesystems=tuple(filesystems),
        )

    def freeze(self, name: str, mountpoints: Sequence[str] = ()) -> int:
        """All or nothing: naming some freezes all the same. Raises InvalidInput for one that is
        not there. Freezing twice freezes nothing more."""
        folder = self._answering(name)
        there = self._mountpoints(folder)
        if unknown := [each for each in mountpoints if each not in there]:
            raise InvalidInput(
                f"'{name}' has no filesystem at {', '.join(unknown)}",
                hint=f"There are: {', '.join(there) or 'none'}.",
            )
        with folder.locked(), native(f"freeze '{name}'"):
            return len(there) if freeze(folder.path) else 0

    def thaw(self, name: str) -> int:
        folder = self._answering(name)
        with folder.locked(), native(f"thaw '{name}'"):
            return len(self._mountpoints(folder)) if thaw(folder.path) else 0

    def _mountpoints(self, folder: InstanceFolder) -> list[str]:
        names = [disk.name for disk in folder.definition().disks]
        return ["/", *(f"/mnt/{name}" for name in names[1:])][: len(names)]

    def _answering(self, name: str) -> InstanceFolder:
        """Raises InstanceNotFound, GuestAgentMissing."""
        folder = self._root.find(name)
        state = folder.state()
        if state is not InstanceState.RUNNING:
            raise GuestAgentMissing(
                f"no agent answers in '{name}': it is {state.value}", hint="Start or resume it."
            )
        if not self._root.config.guest_agent:
            raise GuestAgentMissing(
                f"no agent answers in '{name}'",
                hint="Guests of a mock hypervisor have one when guest_agent is set.",
            )
        return folder
