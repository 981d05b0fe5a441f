"""A folder of this machine, or one mounted on it: ``file:///mnt/exports``."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from hypersdk.artifacts.newfile import new_file
from hypersdk.artifacts.places.ports import PlacedFile
from hypersdk.artifacts.places.sources import PARTIAL, checked_name, sending
from hypersdk.artifacts.streams import STEP, Readable, Told, ignore
from hypersdk.datapath.cancel import CancelToken
from hypersdk.datapath.failures import already_exists, from_os
from hypersdk.model.errors import InvalidInput, NotFound


class FolderPlace:
    """Files below ``root``, which must exist: an unmounted disk must not be filled in its stead.

    Files are made 0600, folders 0700.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = f"file://{root}"
        if not root.is_dir():
            raise NotFound(
                f"the folder {root} does not exist",
                hint="Make it first, and check that its disk is mounted.",
            )

    def put(
        self,
        name: str,
        source: Path | Readable,
        *,
        size: int | None = None,
        overwrite: bool = False,
        progress: Told = ignore,
        pace: Told = ignore,
        cancel: CancelToken | None = None,
    ) -> PlacedFile:
        target = self._path(name)
        if not overwrite and os.path.lexists(target):
            raise already_exists(target)
        with self._errors(target, "create"):
            target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with (
            sending(
                source, name, size=size, progress=progress, pace=pace, cancel=cancel
            ) as content,
            new_file(target, overwrite=overwrite) as file,
        ):
            while data := content.read(STEP):
                file.write(data)
        return PlacedFile(name, content.count, datetime.now(UTC), content.sha256)

    def read(self, name: str) -> Iterator[bytes]:
        path = self._path(name)
        with self._errors(path, "read"), path.open("rb") as file:
            while data := file.read(STEP):
                yield data

    def stat(self, name: str) -> PlacedFile:
        path = self._path(name)
        with self._errors(path, "look at"):
            found = path.stat()
        if not path.is_file():
            raise NotFound(f"{path} is no file")
        return _placed(name, found)

    def list(self, prefix: str = "") -> Iterator[PlacedFile]:
        begin = self._path(prefix) if prefix else self.root
        for folder, _, names in os.walk(begin):
            for each in names:
                path = Path(folder, each)
                with contextlib.suppress(FileNotFoundError):  # deleted since
                    if not each.endswith(PARTIAL) and path.is_file():
                        yield _placed(str(path.relative_to(self.root)), path.stat())

    def delete(self, name: str) -> None:
        path = self._path(name)
        with self._errors(path, "delete"), contextlib.suppress(FileNotFoundError):
            path.unlink()

    def close(self) -> None:
        """Nothing is open."""

    def _path(self, name: str) -> Path:
        path = self.root / checked_name(name)
        # A link below the root may lead out of it, whatever the name says.
        if not path.parent.resolve().is_relative_to(self.root.resolve()):
            raise InvalidInput(f"{path.parent} leads out of {self.root}")
        return path

    @contextlib.contextmanager
    def _errors(self, path: Path, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise from_os(error, path, doing) from error


def _placed(name: str, found: os.stat_result) -> PlacedFile:
    return PlacedFile(name, found.st_size, datetime.fromtimestamp(found.st_mtime, UTC))
