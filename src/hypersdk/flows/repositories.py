"""Repositories by their place: made, opened, looked for."""

from __future__ import annotations

import contextlib
from pathlib import Path

from hypersdk.repository.keys import Key, Protect
from hypersdk.repository.repository import Repository
from hypersdk.repository.store.open import open_store


def init_repository(
    location: str | Path,
    *,
    protect: Protect | None = None,
    chunk_size: int = 1 << 20,
    cache: Path | None = None,
) -> Repository:
    """Make a repository at a path or ``s3://bucket/prefix`` and open it.

    ``protect``: how its first key is wrapped; None makes an unencrypted one. ``chunk_size``: bytes,
    a power of two from 64 KiB to 4 MiB. Raises AlreadyExists, StoreError.
    """
    return Repository.create(
        open_store(location, create=True),
        protect or Protect.none(),
        chunk_size=chunk_size,
        cache=cache or _cache_folder(),
    )


def open_repository(
    location: str | Path, *, key: Key | None = None, cache: Path | None = None
) -> Repository:
    """Open a repository at a path or ``s3://bucket/prefix``.

    Without ``key`` an encrypted one shows names, sizes and whether stored bytes are intact.
    Raises NotARepository, KeyRequired, StoreError.
    """
    return Repository.open(open_store(location), key, cache=cache or _cache_folder())


def subfolders(location: str | Path) -> tuple[str, ...]:
    """Names of the folders in a place that may hold several repositories, sorted.

    Raises StoreError when the place is not there.
    """
    with contextlib.closing(open_store(location)) as store:
        return store.folders()


def _cache_folder() -> Path:
    from hypersdk.config.settings import load_settings  # noqa: PLC0415 - slow to import

    return load_settings().cache_dir
