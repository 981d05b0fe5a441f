"""Files read again and compared with their checksums, several at once."""

from __future__ import annotations

import contextvars
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from hypersdk.artifacts.checksums import Checksum, checked_algorithm, digest_of
from hypersdk.artifacts.streams import Told, ignore
from hypersdk.datapath.cancel import CancelToken, token_in_force
from hypersdk.model.errors import Damaged, HyperSDKError, NotFound
from hypersdk.model.progress import Reporter, silent
from hypersdk.observe.progress import Counters, ProgressTicker

_FETCH_AGAIN = "It was damaged on its way, or changed after it was made: make or fetch it again."


@dataclass(frozen=True, slots=True)
class VerifiedFile:
    """What came of one file."""

    checksum: Checksum
    #: Bytes that were read.
    size: int
    #: Why it is not what it should be; None: it is.
    error: HyperSDKError | None = None


def digests_of(
    paths: Sequence[Path],
    algorithm: str = "sha256",
    *,
    parallel: int = 0,
    reporter: Reporter = silent,
    pace: Told = ignore,
    cancel: CancelToken | None = None,
) -> dict[Path, Checksum]:
    """Of each file, by its path, ``parallel`` at once (0: one for each processor).

    Raises NotFound, DataPathError, Interrupted.
    """
    checked_algorithm(algorithm)
    counters = Counters()
    token = cancel or token_in_force()

    def one(path: Path) -> Checksum:
        digest = digest_of(
            path, algorithm, progress=lambda count: counters.add(read=count), pace=pace,
            cancel=token,
        )  # fmt: skip
        return Checksum(path.name, algorithm, digest)

    total = sum(_size(path) for path in paths)
    with ProgressTicker("checksums", total, counters, reporter), _workers(parallel) as workers:
        futures = [workers.submit(contextvars.copy_context().run, one, path) for path in paths]
        try:
            return {path: each.result() for path, each in zip(paths, futures, strict=True)}
        except BaseException:
            workers.shutdown(wait=False, cancel_futures=True)
            raise


def check_files(
    folder: Path,
    checksums: Iterable[Checksum],
    *,
    parallel: int = 0,
    reporter: Reporter = silent,
    pace: Told = ignore,
    cancel: CancelToken | None = None,
) -> tuple[VerifiedFile, ...]:
    """Read each file again; what is missing or different says so in its ``error``.

    Raises Interrupted.
    """
    wanted = tuple(checksums)
    counters = Counters()
    token = cancel or token_in_force()

    def one(checksum: Checksum) -> VerifiedFile:
        size = 0

        def count(read: int) -> None:
            nonlocal size
            size += read
            counters.add(read=read)

        path = folder / checksum.name
        try:
            found = digest_of(path, checksum.algorithm, progress=count, pace=pace, cancel=token)
            compare(path, checksum, found)
        except HyperSDKError as error:
            token.check()
            return VerifiedFile(checksum, size, error)
        return VerifiedFile(checksum, size)

    total = sum(_size(folder / each.name) for each in wanted)
    with ProgressTicker("verify", total, counters, reporter), _workers(parallel) as workers:
        context = contextvars.copy_context
        return tuple(
            future.result()
            for future in [workers.submit(context().run, one, each) for each in wanted]
        )


def verify_files(
    folder: Path,
    checksums: Iterable[Checksum],
    *,
    parallel: int = 0,
    reporter: Reporter = silent,
    pace: Told = ignore,
    cancel: CancelToken | None = None,
) -> tuple[VerifiedFile, ...]:
    """As `check_files`, but raises Damaged naming every file that is not what it should be."""
    found = check_files(
        folder, checksums, parallel=parallel, reporter=reporter, pace=pace, cancel=cancel
    )
    faults = [each.error for each in found if each.error is not None]
    if len(faults) == 1:
        raise faults[0] if isinstance(faults[0], Damaged) else _missing(faults[0]) from faults[0]
    if faults:
        lines = "; ".join(error.message for error in faults[:20])
        raise Damaged(f"{len(faults)} files are not what they should be: {lines}",
                      hint=_FETCH_AGAIN)  # fmt: skip
    return found


def compare(path: Path, checksum: Checksum, found: str) -> None:
    """Raises Damaged naming the file unless ``found`` is what it should be."""
    if found != checksum.digest:
        raise Damaged(
            f"{path} is not what its checksum says: {checksum.algorithm} {found[:16]}…, "
            f"expected {checksum.digest[:16]}…",
            hint=_FETCH_AGAIN,
        )


def _missing(error: HyperSDKError) -> Damaged:
    hint = "Its checksum is listed but the file is not there: make or fetch it again."
    return Damaged(error.message, hint=hint if isinstance(error, NotFound) else error.hint)


def _size(path: Path) -> int:
    """For progress alone; a missing file is reported where it is read."""
    return path.stat().st_size if path.is_file() else 0


def _workers(parallel: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(parallel or os.cpu_count() or 1, thread_name_prefix="checksums")
