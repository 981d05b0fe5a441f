"""An export in its folder, and how a later run of the same job knows it for its own."""

from __future__ import annotations

from dataclasses import dataclass

from hypersdk.app.kinds.notes import Note, looks
from hypersdk.artifacts.checksums import ALGORITHMS, read_list
from hypersdk.flows.exporting.layout import CHECKSUMS_FILE, MANIFEST_FILE, Layout
from hypersdk.model.errors import HyperSDKError


@dataclass(frozen=True, slots=True)
class Package:
    """The files of one export."""

    layout: Layout
    names: tuple[str, ...]
    #: Bytes of all.
    size: int

    def path_of(self, endings: tuple[str, ...]) -> str:
        """Of the descriptor, the archive or the manifest, sealed ones included; empty: none."""
        for name in self.names:
            plain = name.removesuffix(".age")
            if not plain.endswith(endings):
                continue
            if plain.startswith((self.layout.name, MANIFEST_FILE)):
                return str(self.layout.folder / name)
        return ""


def note_beginning(layout: Layout, note: Note) -> bool:
    """Note how the folder looks before the job; True when an earlier run of it has done so."""
    if note.read() is not None:
        return True
    note.write(before=looks(layout.folder / CHECKSUMS_FILE))
    return False


def finished_package(layout: Layout, note: Note) -> Package | None:
    """What an earlier run of the job exported to its end; None when there was none.

    The list of checksums comes last and the checkpoint goes after it: where the list is another
    one than before the job, and the checkpoint is gone, all of it is there.
    """
    told, now = note.read(), looks(layout.folder / CHECKSUMS_FILE)
    if told is None or not now or now == told.get("before") or layout.checkpoint.exists():
        return None
    try:
        listed = [each.name for each in read_list(layout.folder / CHECKSUMS_FILE)]
    except HyperSDKError:
        return None
    sidecars = [f"{name}.{algorithm}" for name in listed for algorithm in ALGORITHMS]
    manifests = [f"{MANIFEST_FILE}.{encoding}" for encoding in ("json", "yaml")]
    present = [
        name
        for name in (*listed, CHECKSUMS_FILE, *sidecars, *manifests)
        if (layout.folder / name).is_file()
    ]
    if not set(listed) <= set(present):
        return None
    size = sum((layout.folder / name).stat().st_size for name in present)
    return Package(layout, tuple(present), size)
