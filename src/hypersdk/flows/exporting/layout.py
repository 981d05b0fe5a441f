"""Which files an export has, and where they are before it is complete.

All files are made in ``.<name>.partial``, a folder beside their final places, under their final
names, and move when everything is complete: what bears its name in the export's folder is whole,
and an export that is replaced stays until the new one is there. ``.<name>.checkpoint.json`` says
what of the folder is complete (`exporting.checkpoint`).
"""

from __future__ import annotations

import fcntl
import glob
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hypersdk.artifacts.checksums import ALGORITHMS, read_list
from hypersdk.datapath.failures import from_os
from hypersdk.datapath.publish import publish, sync_folder
from hypersdk.model.errors import AlreadyExists, HyperSDKError, InvalidState
from hypersdk.model.instances import Disk, Purpose

CHECKSUMS_FILE = "checksums.txt"
MANIFEST_FILE = "artifact-manifest"

#: Bytes: some room for endings within the 255 that file systems allow, and, in an OVA, within 100.
_LONGEST = 200
_LONGEST_IN_ARCHIVE = 60
_FORBIDDEN = re.compile(r'[<>:"|?*/\\\x00-\x1f\x7f]')
#: What follows the name of the instance in names of descriptors, archives and disks.
_OWN = re.compile(r"(\.(ovf|ova|mf|nvram)|-disk-\d+\.)")
_SUFFIXES = {"ovf": "vmdk", "ova": "vmdk"}


def safe_name(name: str, longest: int = _LONGEST) -> str:
    """``name`` as a file may be called everywhere; ``unnamed-vm`` when nothing is left."""
    kept = _FORBIDDEN.sub("_", name).strip(" .-")
    while len(kept.encode("utf-8", "replace")) > longest:
        kept = kept[:-1]
    return kept.strip(" .-") or "unnamed-vm"


class Layout:
    """The names of one export."""

    def __init__(self, folder: Path, instance: str, format: str) -> None:
        self.folder = folder
        self.format = format
        longest = _LONGEST_IN_ARCHIVE if format == "ova" else _LONGEST
        self.name = safe_name(instance, longest)
        self.staging = folder / f".{self.name}.partial"
        self.checkpoint = folder / f".{self.name}.checkpoint.json"
        self._made = False

    @property
    def descriptor(self) -> str:
        return f"{self.name}.ovf"

    @property
    def manifest(self) -> str:
        return f"{self.name}.mf"

    @property
    def archive(self) -> str:
        return f"{self.name}.ova"

    def disk_files(self, disks: Iterable[Disk]) -> dict[str, str]:
        """Name of each disk → name of its file. Disks are numbered as the instance has them."""
        files: dict[str, str] = {}
        number = 0
        for disk in disks:
            if disk.purpose is Purpose.DISK:
                suffix = _SUFFIXES.get(self.format, self.format)
                files[disk.name] = f"{self.name}-disk-{number}.{suffix}"
                number += 1
            else:
                files[disk.name] = self._other(disk, set(files.values()))
        return files

    def _other(self, disk: Disk, taken: set[str]) -> str:
        if disk.purpose is Purpose.NVRAM and f"{self.name}.nvram" not in taken:
            return f"{self.name}.nvram"
        suffix = ".tar" if disk.purpose is Purpose.ARCHIVE else ".img"
        file = f"{self.name}-{safe_name(disk.name, 80)}{suffix}"
        while file in taken:
            file = f"_{file}"
        return file

    def begin(self) -> None:
        """Make the folders. Raises what the operating system refuses."""
        self._made = not self.folder.exists()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.staging.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise from_os(error, self.staging, "create") from error

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other exports of the same name out of the folder; the lock goes with the process."""
        descriptor = os.open(self.staging, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InvalidState(
                    f"another export of '{self.name}' into {self.folder} is under way",
                    hint="Wait until it ends, or choose another folder.",
                ) from None
            yield
        finally:
            os.close(descriptor)

    def refuse_existing(self, names: Iterable[str]) -> None:
        """Raises AlreadyExists when one of these files is at its final place."""
        for name in names:
            if os.path.lexists(self.folder / name):
                raise AlreadyExists(
                    f"{self.folder / name} already exists",
                    hint="Choose another folder, or replace what is there with --overwrite.",
                )

    def clear(self, keep: Iterable[str] = ()) -> None:
        """Remove everything unfinished except the files to keep."""
        kept = set(keep)
        for path in self.folder.glob(f".{glob.escape(self.checkpoint.name)}.*.partial"):
            path.unlink()  # a checkpoint that a killed run was just writing
        for path in self.staging.iterdir():
            if path.name in kept:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def publish(self, names: Iterable[str], *, overwrite: bool) -> None:
        """Give the files their final places, durably. The list of checksums comes last, and that
        of an export that is replaced goes first: with it, the files belong together."""
        if overwrite:
            (self.folder / CHECKSUMS_FILE).unlink(missing_ok=True)
        for name in sorted(names, key=lambda name: name == CHECKSUMS_FILE):
            publish(self.staging / name, self.folder / name, overwrite)

    def own_files(self) -> frozenset[str]:
        """Names of the files of an export of this instance that is there, as far as its list of
        checksums names them. Files of others are not ours to know."""
        try:
            listed = [each.name for each in read_list(self.folder / CHECKSUMS_FILE)]
        except HyperSDKError:  # there is none, or it is somebody else's
            return frozenset()
        ours = [name for name in listed if self._is_own(name)]
        sidecars = [f"{name}.{algorithm}" for name in ours for algorithm in ALGORITHMS]
        return frozenset(name for name in (*ours, *sidecars) if (self.folder / name).is_file())

    def _is_own(self, name: str) -> bool:
        rest = name.removeprefix(self.name)
        return rest != name and "/" not in name and _OWN.match(rest) is not None

    def remove(self, names: Iterable[str]) -> None:
        """Files of an export that was replaced, which the new one does not have."""
        for name in names:
            (self.folder / name).unlink(missing_ok=True)

    def take_back(self, names: Iterable[str]) -> None:
        """Undo a publication that a killed run began."""
        for name in names:
            if (self.folder / name).exists() and not (self.staging / name).exists():
                os.rename(self.folder / name, self.staging / name)

    def end(self) -> None:
        """Forget what was for the time of the export."""
        self.checkpoint.unlink(missing_ok=True)
        shutil.rmtree(self.staging, ignore_errors=True)
        if self._made and not any(self.folder.iterdir()):
            self.folder.rmdir()
        elif self.folder.is_dir():
            sync_folder(self.folder)
