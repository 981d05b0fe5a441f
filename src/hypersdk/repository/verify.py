"""Is everything there, and is it what was written?

Level *stored* compares packs with their names and other objects with their checksums; it needs no
key. Level *content* decrypts, decompresses and identifies every chunk. With a key, each finding is
followed to the restore points and disk areas that it breaks.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from blake3 import blake3

from hypersdk.model.errors import (
    Damaged,
    HyperSDKError,
    ObjectMissing,
    RepositoryError,
    StoreDenied,
)
from hypersdk.model.points import AffectedArea, Damage, RestorePoint, VerifyLevel, VerifyReport
from hypersdk.repository.format import (
    CHUNK_SIZE_MAX,
    ID_SIZE,
    SEGMENT_CHUNKS,
    ZERO_ID,
    check_envelope,
)
from hypersdk.repository.index import ChunkIndex, short
from hypersdk.repository.layout import (
    CONFIG,
    ENGINE,
    INDEX,
    PACKS,
    POINT_SUFFIX,
    pack_key,
    pack_name,
)
from hypersdk.repository.mark import live_ids, live_in, mark, needed_packs, unindexed
from hypersdk.repository.notes import NO_PACK, note_damage, read_damage, read_tombstones
from hypersdk.repository.packs import PackFooter, parse_footer
from hypersdk.repository.reader import BlobReader, decode_into, group_ciphers
from hypersdk.repository.store.ports import Store
from hypersdk.repository.vault import Vault

#: Called with (bytes done, bytes in all) from worker threads; may raise to stop.
Watcher = Callable[[int, int], None]


def unwatched(done: int, total: int) -> None:
    """The watcher of a caller who does not want progress."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong in a pack. No ``chunk``: the pack as a whole."""

    pack: bytes
    problem: str
    offset: int = 0
    length: int = 0
    chunk: bytes = b""


@dataclass(slots=True)
class _Tally:
    packs: int = 0
    chunks: int = 0
    read: int = 0
    intact: set[bytes] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)


class Verifier:
    """One verification of a whole repository or of some of its points."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        index: ChunkIndex | None,
        level: VerifyLevel,
        watch: Watcher,
        workers: int,
    ) -> None:
        """``index`` None: no key was given; only ``VerifyLevel.STORED`` is possible."""
        self._store = store
        self._vault = vault
        self._index = index
        self._level = level
        self._watch = watch
        self._workers = workers
        self._tally = _Tally()
        self._buffers = threading.local()

    def run(
        self,
        points: Sequence[RestorePoint],
        unreadable: Mapping[str, HyperSDKError],
        *,
        whole: bool,
    ) -> VerifyReport:
        """``points``: those whose chunks matter. ``whole``: look at every object of the place.

        ``unreadable``: keys of points that cannot be opened, and why.
        """
        began = time.monotonic()
        listed = {
            name: info.size for info in self._store.list(PACKS) if (name := pack_name(info.key))
        }
        objects = {damage.object: damage for damage in self._check_objects()} if whole else {}
        for key, error in unreadable.items():
            objects.setdefault(key, Damage(key, error.message))
        missing: list[bytes] = []
        scope: Mapping[bytes, int] = listed
        if self._index is not None:
            missing, needed = self._mark(points)
            if missing or needed - listed.keys():  # pruned, or moved by a collector, meanwhile
                points = self._existing(points)
                self._index.refresh()
                missing, needed = self._mark(points)
                listed |= self._sizes(needed - listed.keys())
            self._tally.findings += [
                Finding(pack, "the pack is missing") for pack in needed - listed.keys()
            ]
            if not whole:
                scope = {name: listed[name] for name in needed & listed.keys()}
        self._check_packs(scope, whole=whole)
        harm, harmless = self._judge(self._existing(points), missing)
        self._write_notes(missing, whole=whole)
        chain = self._check_chain(points) if whole and self._index is not None else ()
        return VerifyReport(
            level=self._level,
            packs=self._tally.packs,
            chunks=self._tally.chunks,
            points=len(points),
            read=self._tally.read,
            seconds=time.monotonic() - began,
            damage=(*objects.values(), *chain, *harm),
            harmless=tuple(harmless),
        )

    # -- objects beside packs

    def _check_objects(self) -> Iterator[Damage]:
        for key in self._object_keys():
            yield from self._check_object(key)

    def _object_keys(self) -> Iterator[str]:
        """Everything but packs."""
        yield CONFIG
        for name in self._store.folders(ENGINE):
            if (folder := f"{ENGINE}/{name}") != PACKS:
                yield from (info.key for info in self._store.list(folder))
        for folder in self._store.folders():
            if folder != ENGINE:  # other files that people put there are none of ours
                keys = (info.key for info in self._store.list(folder))
                yield from (key for key in keys if key.endswith(POINT_SUFFIX))

    def _check_object(self, key: str) -> Iterator[Damage]:
        try:
            data = self._store.get(key)
            if key.startswith(INDEX) and blake3(data).hexdigest() != key.rsplit("/", 1)[-1]:
                yield Damage(key, "index run does not match its name; run: hypersdk repo recover")
            else:
                check_envelope(key, data)
        except ObjectMissing:
            return  # removed since it was listed
        except RepositoryError as error:
            yield Damage(key, error.message)

    def _check_chain(self, points: Iterable[RestorePoint]) -> Iterator[Damage]:
        """Every point's predecessor is there, or retention says that it removed it."""
        known = read_tombstones(self._store) | {point.digest for point in points}
        for point in points:
            if point.previous and point.previous not in known:
                yield Damage(
                    point.key,
                    "the restore point before this one is gone, and retention did not remove it",
                )

    # -- packs

    def _mark(self, points: Sequence[RestorePoint]) -> tuple[list[bytes], set[bytes]]:
        """Mark what the points need.

        Returns needed short ids that no pack of the index has, and the packs that have the others.
        """
        assert self._index is not None
        reader = BlobReader(self._store, self._vault, self._index)

        def read(segment: bytes) -> bytes:
            try:
                return reader.read(segment)
            except (Damaged, ObjectMissing):
                return b""  # the pack's own check names it

        with self._index.scratch() as database:
            mark(database, live_ids(points, read))
            return unindexed(database), needed_packs(database)

    def _existing(self, points: Iterable[RestorePoint]) -> list[RestorePoint]:
        """Points that have not been pruned meanwhile."""
        folders = {point.key.partition("/")[0] for point in points}
        there = {info.key for folder in folders for info in self._store.list(folder)}
        return [point for point in points if point.key in there]

    def _sizes(self, packs: Iterable[bytes]) -> dict[bytes, int]:
        """Those of the packs that exist, with their sizes."""
        sizes = {}
        for pack in packs:
            with contextlib.suppress(ObjectMissing):
                sizes[pack] = self._store.stat(pack_key(pack)).size
        return sizes

    def _check_packs(self, scope: Mapping[bytes, int], *, whole: bool) -> None:
        total = sum(scope.values())
        with ThreadPoolExecutor(self._workers, thread_name_prefix="verify") as pool:
            jobs = [
                pool.submit(self._check_pack, name, size, whole=whole)
                for name, size in scope.items()
            ]
            try:
                for name, job in zip(scope, jobs, strict=True):
                    found, chunks, intact = job.result()
                    self._tally.findings += found
                    self._tally.chunks += chunks
                    self._tally.packs += 1
                    self._tally.read += scope[name]
                    if intact and not found:
                        self._tally.intact.add(name)
                    self._watch(self._tally.read, total)
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _check_pack(
        self, name: bytes, size: int, *, whole: bool
    ) -> tuple[list[Finding], int, bool]:
        """Findings, chunks looked at, and whether all bytes are those that were written."""
        key = pack_key(name)
        data = self._room("pack", size)
        try:
            self._store.get_into(key, 0, data)
        except ObjectMissing:
            return [], 0, False  # swept since it was listed; the index knew what is needed
        intact = blake3(data).digest() == name
        if self._level is VerifyLevel.STORED:
            findings = [] if intact else [Finding(name, "its bytes do not match its name")]
            return findings, 0, intact
        try:
            footer = parse_footer(key, data, self._vault.context)
        except Damaged as error:
            return [Finding(name, error.message)], 0, intact
        wanted = None if whole else self._live_in(name)
        findings, chunks = self._check_blobs(name, data, footer, wanted)
        if not intact and not findings and whole:
            findings = [Finding(name, "its bytes do not match its name")]
        return findings, chunks, intact

    def _room(self, purpose: str, size: int) -> memoryview:
        """A buffer that this thread uses again for the same purpose: fresh pages cost time."""
        room: bytearray | None = getattr(self._buffers, purpose, None)
        if room is None or len(room) < size:
            room = bytearray(size)
            setattr(self._buffers, purpose, room)
        return memoryview(room)[:size]

    def _live_in(self, pack: bytes) -> set[bytes]:
        assert self._index is not None
        with self._index.scratch() as database:
            return live_in(database, pack)

    def _check_blobs(
        self, name: bytes, data: memoryview, footer: PackFooter, wanted: set[bytes] | None
    ) -> tuple[list[Finding], int]:
        ciphers = group_ciphers(self._vault, footer)
        findings, chunks = [], 0
        for entry in footer.entries:
            if wanted is not None and short(entry.id) not in wanted:
                continue
            chunks += 1
            blob = data[entry.offset : entry.offset + entry.stored_length]
            cipher = ciphers.get(entry.group)
            out = self._room("chunk", CHUNK_SIZE_MAX)[: entry.raw_length]
            if cipher is None or not decode_into(self._vault, footer, entry, cipher, blob, out):
                findings.append(
                    Finding(
                        name,
                        f"a {footer.kind.name.lower()} chunk does not open to its id",
                        entry.offset,
                        entry.stored_length,
                        entry.id,
                    )
                )
        return findings, chunks

    # -- what a finding means

    def _judge(
        self, points: Sequence[RestorePoint], missing: Sequence[bytes]
    ) -> tuple[list[Damage], list[Damage]]:
        """Damage that breaks something, and damage that does not."""
        if self._index is None:
            return [_damage(finding, ()) for finding in self._tally.findings], []
        lost = {finding: self._lost_ids(finding) for finding in self._tally.findings}
        areas = self._areas(points, {i for ids in lost.values() for i in ids} | set(missing))
        harm: list[Damage] = []
        harmless: list[Damage] = []
        for finding, ids in lost.items():
            affected = [area for identity in ids for area in areas.get(identity, ())]
            (harm if affected else harmless).append(_damage(finding, affected))
        for identity in missing:
            if identity in areas:
                problem = f"chunk {identity.hex()}… is in no pack of the index"
                harm.append(Damage(INDEX, problem, affected=tuple(areas[identity])))
        return harm, harmless

    def _lost_ids(self, finding: Finding) -> set[bytes]:
        """Short ids of which no intact copy is known."""
        assert self._index is not None
        ids = (
            {short(finding.chunk)}
            if finding.chunk
            else {row[0] for row in self._index.chunks_in(finding.pack)}
        )
        bad = {(f.pack, short(f.chunk)) for f in self._tally.findings}
        return {
            identity
            for identity in ids
            if all(
                (place.pack, identity) in bad or (place.pack, b"") in bad
                for place in self._index.find(identity)
            )
        }

    def _areas(
        self, points: Sequence[RestorePoint], lost: set[bytes]
    ) -> dict[bytes, list[AffectedArea]]:
        """Short id → areas of restore points that need it."""
        areas: dict[bytes, list[AffectedArea]] = {}
        if not lost:
            return areas
        assert self._index is not None
        reader = BlobReader(self._store, self._vault, self._index)
        positions: dict[bytes, list[tuple[int, bytes]]] = {}
        for point in points:
            for disk in point.disks:
                for number, segment in enumerate(disk.segments):
                    if segment == ZERO_ID:
                        continue
                    span = SEGMENT_CHUNKS * disk.chunk_size
                    start = number * span
                    if short(segment) in lost:
                        length = min(span, disk.size - start)
                        area = AffectedArea(point.instance, point.id, disk.name, start, length)
                        areas.setdefault(short(segment), []).append(area)
                        continue
                    if segment not in positions:
                        positions[segment] = list(_positions(reader.read(segment), lost))
                    for position, identity in positions[segment]:
                        at = start + position * disk.chunk_size
                        length = min(disk.chunk_size, disk.size - at)
                        area = AffectedArea(point.instance, point.id, disk.name, at, length)
                        areas.setdefault(identity, []).append(area)
        return areas

    def _write_notes(self, missing: Sequence[bytes], *, whole: bool) -> None:
        """Tell writers what to store again, and take back what proved intact."""
        if self._index is not None:
            # A read-only place: the report must do. It names altered notes among the objects.
            with contextlib.suppress(StoreDenied, Damaged):
                self._exchange_notes(set(missing), whole=whole)

    def _exchange_notes(self, missing: set[bytes], *, whole: bool) -> None:
        context = self._vault.context
        by_pack: dict[bytes, set[bytes]] = {NO_PACK: missing} if missing else {}
        for finding in self._tally.findings:
            by_pack.setdefault(finding.pack, set()).add(finding.chunk)
        for pack, chunks in by_pack.items():
            note_damage(self._store, context, pack, () if b"" in chunks else chunks)
        for note in read_damage(self._store, context):
            found_again = whole and note.pack == NO_PACK and not note.chunks & missing
            # A pack can hold, bit by bit as written, a chunk that never was what its id says.
            opened = not note.chunks or (whole and self._level is VerifyLevel.CONTENT)
            if found_again or (opened and note.pack in self._tally.intact):
                self._store.delete(note.key)


def _positions(ids: bytes, lost: set[bytes]) -> Iterator[tuple[int, bytes]]:
    for position in range(len(ids) // ID_SIZE):
        identity = short(ids[position * ID_SIZE : (position + 1) * ID_SIZE])
        if identity in lost:
            yield position, identity


def _damage(finding: Finding, affected: Iterable[AffectedArea]) -> Damage:
    return Damage(
        object=pack_key(finding.pack),
        problem=finding.problem,
        offset=finding.offset,
        length=finding.length,
        chunk=finding.chunk.hex(),
        affected=tuple(affected),
    )
