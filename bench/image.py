"""The test image: a disk with a filesystem full of this machine's own files.

The same machine gives the same image again: files are taken in a fixed order, random bytes come
from a seed, and the filesystem has fixed identifiers. Another machine has other files, so figures
are compared within one run only.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from json import dumps, loads
from pathlib import Path

from bench.measure import BenchError

MIB = 1 << 20
GIB = 1 << 30

DOCUMENTATION = ("/usr/share/doc", "/usr/share/man", "/usr/share/locale", "/usr/share/info")
SYSTEM = ("/usr/bin", "/usr/lib", "/usr/libexec", "/usr/local", "/usr/sbin", "/usr/share", "/opt")
#: One archive or database would otherwise decide the compression ratio of the whole image.
LARGEST_FILE = 256 * MIB
RANDOM_SHARE = 0.10
DOCUMENTATION_SHARE = 0.12
CHANGED_SHARE = 0.03
SEED = 20261121
FILESYSTEM_ID = "6d4f8e1a-2b7c-4d55-9a10-5e0c7b1f2a33"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How large an image to build. Bytes."""

    virtual: int = 8 * GIB
    #: Of file content, random part included.
    content: int = 3 * GIB + 200 * MIB


FULL = Recipe()
QUICK = Recipe(virtual=256 * MIB, content=40 * MIB)


@dataclass(frozen=True, slots=True)
class Image:
    """A built image, and what is in it. Bytes."""

    path: Path
    virtual: int
    #: In areas that the filesystem below reports as data.
    allocated: int
    files: int
    documentation: int
    system: int
    #: System files again with every byte value exchanged, where the machine has too few files.
    varied: int
    random: int
    #: Kind of filesystem that the image itself lies on: tmpfs, ext4 ...
    place: str


@dataclass(slots=True)
class _Filling:
    """A folder that is being filled, and how far it is."""

    folder: Path
    files: int = 0

    def add(self, content: bytes) -> int:
        """Write one more file; a thousand of them per folder, as a package manager's tree has."""
        parent = self.folder / f"{self.files // 1000:04d}"
        parent.mkdir(exist_ok=True)
        (parent / f"{self.files:06d}").write_bytes(content)
        self.files += 1
        return len(content)


def build(folder: Path, recipe: Recipe) -> Image:
    """Build the image in ``folder``, or take the one that is there from an earlier run."""
    path, manifest = folder / "disk.raw", folder / "disk.json"
    key = asdict(recipe)
    if manifest.exists() and path.exists():
        known = loads(manifest.read_text())
        if known.pop("recipe") == key and known["virtual"] == path.stat().st_size:
            return Image(**{**known, "path": path})
    manifest.unlink(missing_ok=True)
    staging = folder / "staging"
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        amounts = _fill(_Filling(staging), recipe.content)
        _make_filesystem(staging, path, recipe.virtual)
    finally:
        shutil.rmtree(staging)
    allocated = sum(end - start for start, end in data_areas(path))
    image = Image(
        path=path,
        virtual=recipe.virtual,
        allocated=allocated,
        place=filesystem_of(folder),
        **amounts,
    )
    manifest.write_text(dumps({**asdict(image), "path": str(path), "recipe": key}))
    return image


def _fill(filling: _Filling, target: int) -> dict[str, int]:
    documentation_target = int(target * DOCUMENTATION_SHARE)
    random_target = int(target * RANDOM_SHARE)
    documentation = _take(filling, _candidates(DOCUMENTATION), documentation_target)
    system_files = [
        name for name in _candidates(SYSTEM) if not name.startswith(tuple(DOCUMENTATION))
    ]
    system = _take(filling, system_files, target - documentation - random_target)
    varied, variation = 0, 0
    while documentation + system + varied + random_target < target:
        variation += 1
        missing = target - documentation - system - varied - random_target
        taken = _take(filling, system_files, missing, variation)
        if not taken:
            raise BenchError("this machine has no readable system files")
        varied += taken
    return {
        "documentation": documentation,
        "system": system,
        "varied": varied,
        "random": _add_random(filling, random_target),
        "files": filling.files,
    }


def _candidates(roots: tuple[str, ...]) -> list[str]:
    """Every plain file below ``roots`` once, evenly mixed: ordered by a hash of its path.

    In path order the first large product installed would fill the whole image.
    """
    seen: set[tuple[int, int]] = set()
    names = []
    for name in _walk(roots):
        status = os.lstat(name)
        if not 0 < status.st_size <= LARGEST_FILE or (status.st_dev, status.st_ino) in seen:
            continue
        seen.add((status.st_dev, status.st_ino))
        names.append(name)
    return sorted(names, key=lambda name: hashlib.sha256(os.fsencode(name)).digest())


def _walk(roots: tuple[str, ...]) -> Iterator[str]:
    for root in roots:
        for parent, folders, files in os.walk(root):
            folders.sort()
            for name in sorted(files):
                path = os.path.join(parent, name)
                if os.path.isfile(path) and not os.path.islink(path):
                    yield path


def _take(filling: _Filling, names: list[str], target: int, variation: int = 0) -> int:
    """Copy files until ``target`` bytes are there; in path order, so neighbours stay together."""
    chosen, chosen_bytes = [], 0
    for name in names:
        if chosen_bytes >= target:
            break
        chosen.append(name)
        chosen_bytes += os.lstat(name).st_size
    table = bytes((value + 37 * variation) % 256 for value in range(256))
    taken = 0
    for name in sorted(chosen):
        try:
            content = Path(name).read_bytes()
        except PermissionError:
            continue
        taken += filling.add(content.translate(table) if variation else content)
    return taken


def _add_random(filling: _Filling, target: int) -> int:
    source = random.Random(SEED)  # noqa: S311 - reproducible bytes, nothing secret
    added = 0
    while added < target:
        added += filling.add(source.randbytes(min(8 * MIB, target - added)))
    return added


def _make_filesystem(staging: Path, path: Path, size: int) -> None:
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        file.truncate(size)
    mkfs = shutil.which("mkfs.ext4", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if mkfs is None:
        raise BenchError("mkfs.ext4 is missing: install e2fsprogs")
    options = f"lazy_itable_init=1,lazy_journal_init=1,hash_seed={FILESYSTEM_ID}"
    identity = ("-U", FILESYSTEM_ID, "-E", options, "-N", "262144")
    subprocess.run(
        [mkfs, "-q", "-F", *identity, "-d", str(staging), str(path)],
        check=True,
        env={**os.environ, "E2FSPROGS_FAKE_TIME": "1795000000"},
    )


def data_areas(path: Path) -> Iterator[tuple[int, int]]:
    """``(start, end)`` of each area that is not a hole."""
    with path.open("rb") as file:
        size, position = os.fstat(file.fileno()).st_size, 0
        while position < size:
            try:
                start = os.lseek(file.fileno(), position, os.SEEK_DATA)
            except OSError:
                return
            position = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            yield start, position


def warm(path: Path) -> None:
    """Bring the data of ``path`` into the page cache."""
    buffer = bytearray(MIB)
    with path.open("rb", buffering=0) as file:
        for start, end in data_areas(path):
            file.seek(start)
            while file.tell() < end and file.readinto(buffer):
                pass


def same_content(left: Path, right: Path) -> bool:
    """Compare two images byte by byte, reading holes in neither where both have one."""
    if left.stat().st_size != right.stat().st_size:
        return False
    blocks = {
        block
        for path in (left, right)
        for start, end in data_areas(path)
        for block in range(start // MIB, (end + MIB - 1) // MIB)
    }
    with left.open("rb", buffering=0) as one, right.open("rb", buffering=0) as other:
        return all(
            os.pread(one.fileno(), MIB, block * MIB) == os.pread(other.fileno(), MIB, block * MIB)
            for block in sorted(blocks)
        )


@contextmanager
def second_day(image: Image) -> Iterator[int]:
    """The same image a day later, for the length of the context. Yields the bytes rewritten.

    About 3 % of the allocated bytes differ: runs of 4 KiB to 4 MiB, short ones more often, as
    files that are rewritten give. The manifest is away meanwhile, so that an image left behind by
    a killed run is built again.
    """
    manifest = image.path.with_suffix(".json")
    known = manifest.read_text()
    manifest.unlink()
    areas = _changed_areas(image)
    with image.path.open("r+b", buffering=0) as disk, _kept(image).open("w+b") as kept:
        for start, length, origin in areas:
            here, there = (os.pread(disk.fileno(), length, place) for place in (start, origin))
            kept.write(here)
            os.pwrite(disk.fileno(), there, start)
    try:
        yield sum(length for _, length, _ in areas)
    finally:
        with image.path.open("r+b", buffering=0) as disk, _kept(image).open("rb") as kept:
            for start, length, _ in areas:
                os.pwrite(disk.fileno(), kept.read(length), start)
        _kept(image).unlink()
        manifest.write_text(known)


def _kept(image: Image) -> Path:
    """Where the first day's bytes wait."""
    return image.path.with_name("day1.kept")


def _changed_areas(image: Image) -> list[tuple[int, int, int]]:
    """``(start, length, origin)`` of what day two rewrites, and where its new content comes from.

    The new content is the image's own, 12 KiB out of step, so that it compresses like the old but
    shares no chunk with it.
    """
    source = random.Random(SEED + 1)  # noqa: S311 - reproducible places, nothing secret
    blocks = [
        block
        for start, end in data_areas(image.path)
        for block in range(-(-start // (4 * MIB)), end // (4 * MIB))
    ]
    source.shuffle(blocks)
    areas, total = [], 0
    while blocks and total < image.allocated * CHANGED_SHARE:
        start = blocks.pop() * 4 * MIB
        length = 4096 << min(10, int(source.expovariate(0.35)))
        origin = max(0, start - 512 * MIB) if start > 512 * MIB else start + 64 * MIB
        areas.append((start, length, origin + 12288))
        total += length
    return areas


def filesystem_of(folder: Path) -> str:
    """Kind of the filesystem that holds ``folder``, as ``/proc/mounts`` names it."""
    best, kind = "", "unknown"
    for line in Path("/proc/mounts").read_text().splitlines():
        _, point, name, *_ = line.split()
        inside = folder.resolve() == Path(point) or Path(point) in folder.resolve().parents
        if inside and len(point) >= len(best):
            best, kind = point, name
    return kind
