"""Folders that containers share and that outlive them. containerd has no volumes, so they are kept
beside the logs: one folder for each, named as the volume is.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence

from hypersdk.drivers.containerd.address import Address, is_identifier
from hypersdk.drivers.containerd.api.services.containers.v1.containers_pb2 import Container
from hypersdk.drivers.containerd.spec import Mounted, unpacked
from hypersdk.model.errors import HypervisorDenied, HypervisorError, InvalidInput, LimitExceeded
from hypersdk.model.specs import MountSpec


class Volumes:
    """Of one namespace."""

    def __init__(self, address: Address) -> None:
        self._folder = f"{address.folder}/{address.namespace}/volumes"

    def mounted(self, mount: MountSpec) -> Mounted:
        """What to mount; a volume that does not exist is going to be made by `make`.

        Raises InvalidInput for a path that is not there.
        """
        if mount.source.startswith("/"):
            if not os.path.exists(mount.source):
                raise InvalidInput(
                    f"{mount.source}, which is to be mounted, does not exist", hint="Make it first."
                )
            return Mounted(mount.source, mount.target, mount.read_only)
        if not is_identifier(mount.source):
            raise InvalidInput(
                f"'{mount.source}' is neither an absolute path nor a name of a volume",
                hint="Names have letters, digits, and single '.', '_' or '-' between them.",
            )
        return Mounted(f"{self._folder}/{mount.source}", mount.target, mount.read_only)

    def make(self, mounts: Iterable[Mounted]) -> list[str]:
        """Make the volumes that do not exist; their folders."""
        made = []
        for mount in mounts:
            if self._is_volume(mount.source) and not os.path.isdir(mount.source):
                try:
                    os.makedirs(self._folder, mode=0o700, exist_ok=True)
                    os.mkdir(mount.source, 0o755)
                except FileExistsError:
                    continue  # another container of the same volume was quicker
                except OSError as error:
                    raise _refused(mount.source, error) from error
                made.append(mount.source)
        return made

    def remove(self, container: Container, others: Iterable[Container]) -> None:
        """The volumes that only this container uses."""
        used = {source for other in others for source in self.of(other)}
        for source in self.of(container):
            if source not in used:
                self.discard([source])

    def of(self, container: Container) -> Sequence[str]:
        """Folders of the volumes of a container."""
        mounts = unpacked(container.spec.value).get("mounts") or ()
        return [
            mount["source"] for mount in mounts if self._is_volume(str(mount.get("source", "")))
        ]

    def discard(self, folders: Iterable[str]) -> None:
        for folder in folders:
            try:
                shutil.rmtree(folder)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise HypervisorError(
                    f"the volume {folder} cannot be removed: {error.strerror}",
                    hint="Remove it by hand.",
                ) from error

    def _is_volume(self, source: str) -> bool:
        return source.startswith(f"{self._folder}/")


def _refused(folder: str, error: OSError) -> HypervisorError:
    if isinstance(error, PermissionError):
        return HypervisorDenied(
            f"the volume {folder} cannot be made: {error.strerror}",
            hint="Run as root, or name a folder of your own in the URL: &folder=…",
        )
    return LimitExceeded(
        f"the volume {folder} cannot be made: {error.strerror}", hint="Make room there."
    )
