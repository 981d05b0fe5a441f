"""Remove old exports from a folder of exports.

Only what is recognised as an export of ours goes, and of it only the files that its own list of
checksums names: whatever else somebody put there stays, and with it the folder.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from hypersdk.artifacts.checksums import ALGORITHMS, LIST_NAME, read_list
from hypersdk.datapath.failures import from_os
from hypersdk.flows.exporting.layout import MANIFEST_FILE
from hypersdk.flows.exporting.options import CleanupRules
from hypersdk.flows.exporting.results import Removed
from hypersdk.model.errors import HyperSDKError, NotFound

_MANIFESTS = tuple(f"{MANIFEST_FILE}.{ending}" for ending in ("json", "yaml"))


def cleanup_exports(
    folder: Path,
    rules: CleanupRules,
    *,
    dry_run: bool = False,
    now: Callable[[], float] = time.time,
) -> list[Removed]:
    """Apply the rules to the exports in the folders below ``folder``: by age, then by count, then
    by size, oldest first. Exports under way are left alone.

    Returns what was removed, or would be. Raises NotFound, DataPathError.
    """
    if not folder.is_dir():
        raise NotFound(f"there is no folder {folder}")
    exports = sorted(_exports(folder), key=lambda each: each.time)
    chosen = list(_chosen(exports, rules, now()))
    if not dry_run:
        for removed, export in chosen:
            try:
                export.remove()
            except OSError as error:
                raise from_os(error, removed.folder, "remove") from error
    return [removed for removed, _ in chosen]


@dataclass(frozen=True, slots=True)
class _Export:
    """A folder that holds one."""

    folder: Path
    files: tuple[Path, ...]
    #: Seconds since the epoch, of its list of checksums, which is written last.
    time: float
    size: int

    def remove(self) -> None:
        """The list goes last: an export that is removed in part is still known as one."""
        for path in self.files:
            if path.name != LIST_NAME:
                path.unlink(missing_ok=True)
        (self.folder / LIST_NAME).unlink(missing_ok=True)
        with suppress(OSError):  # something else is in it
            self.folder.rmdir()


def _exports(folder: Path) -> Iterator[_Export]:
    for each in sorted(folder.iterdir()):
        if each.is_symlink() or not (each / LIST_NAME).is_file():
            continue
        if any(each.glob(".*.checkpoint.json")) or any(each.glob(".*.partial")):
            continue
        try:
            names = [checksum.name for checksum in read_list(each / LIST_NAME)]
        except HyperSDKError:  # somebody else's list
            continue
        if not any(_of_export(name) for name in names):
            continue
        files = tuple(_files(each, names))
        size = sum(path.stat().st_size for path in files)
        yield _Export(each, files, (each / LIST_NAME).stat().st_mtime, size)


def _of_export(name: str) -> bool:
    stems = (".ovf", ".ova", ".mf", "-disk-0.")
    return any(part in name for part in stems)


def _files(folder: Path, names: list[str]) -> Iterator[Path]:
    sidecars = [f"{name}.{algorithm}" for name in names for algorithm in ALGORITHMS]
    for name in (*names, *sidecars, *_MANIFESTS, LIST_NAME):
        path = folder / name
        if "/" not in name and path.is_file() and not path.is_symlink():
            yield path


def _chosen(
    exports: list[_Export], rules: CleanupRules, now: float
) -> Iterator[tuple[Removed, _Export]]:
    left = list(exports)
    size = sum(export.size for export in left)
    for export in exports:
        reason = ""
        if rules.max_age is not None and now - export.time > rules.max_age:
            reason = f"it is older than {rules.max_age:.0f} seconds"
        elif rules.max_count is not None and len(left) > rules.max_count:
            reason = f"more than {rules.max_count} exports are there"
        elif rules.max_size is not None and size > rules.max_size:
            reason = f"the exports have more than {rules.max_size} bytes together"
        if reason:
            left.remove(export)
            size -= export.size
            moment = datetime.fromtimestamp(export.time, UTC)
            yield Removed(export.folder, export.size, moment, reason), export
