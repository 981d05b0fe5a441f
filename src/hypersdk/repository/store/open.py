"""From a location, as a person writes it, to a store."""

from __future__ import annotations

import os
import re
import secrets
import threading
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import unquote, urlsplit

from hypersdk.model.errors import InvalidInput, MissingRequirement, ObjectExists, StoreError
from hypersdk.repository.store.local import LocalStore
from hypersdk.repository.store.memory import MemoryStore
from hypersdk.repository.store.ports import Store
from hypersdk.repository.store.retrying import Retrying

#: How each kind of location is written.
LOCATIONS = {
    "file": "file:///folder",
    "s3": "s3://bucket/prefix",
    "memory": "memory:name",
}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):(//)?")

_memory_stores: dict[str, MemoryStore] = {}
_memory_lock = threading.Lock()


def open_store(location: str | Path, *, create: bool = False) -> Store:
    """The store at a path, ``file:///folder``, ``s3://bucket/prefix`` or ``memory:name``.

    ``create`` makes a missing local folder, and asks a bucket to prove that it never replaces an
    object. A bucket itself is never made. ``memory:name`` is one store per name and process.

    Raises InvalidInput for a location that is none of these, MissingRequirement when its
    library is not installed, and the store's own errors.
    """
    if isinstance(location, Path):
        return LocalStore(location, create=create)
    if not location:
        raise InvalidInput("the location is empty", hint=_known_locations())
    found = _SCHEME.match(location)
    scheme = found.group(1).lower() if found else ""
    if found is None or not (found.group(2) or scheme in LOCATIONS):
        return LocalStore(os.path.expanduser(location), create=create)
    if scheme == "file":
        return LocalStore(_path_of_file_url(location), create=create)
    if scheme == "memory":
        return _memory_store(location.partition(":")[2].strip("/"))
    if scheme == "s3":
        return _bucket(location, create=create)
    raise _unknown_scheme(scheme)


def _bucket(location: str, *, create: bool) -> Store:
    try:
        from hypersdk.repository.store.objects import s3_store  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("hypersdk"):
            raise
        raise MissingRequirement(
            f"s3:// locations need the library {error.name}",
            hint="Install it with: pip install 'hypersdk[s3]'",
        ) from error
    store = Retrying(s3_store(location))
    if create:
        prove_exclusive_put(store)
    return store


def prove_exclusive_put(store: Store) -> None:
    """Raises StoreError when ``put_if_absent`` replaces an object.

    Some S3-compatible servers ignore ``If-None-Match``. Two writers of a repository there could
    destroy each other's restore points, so ``init`` refuses such a place.
    """
    key = f".hypersdk/probe-{secrets.token_hex(8)}"
    store.put_if_absent(key, b"first")
    try:
        store.put_if_absent(key, b"second")
    except ObjectExists:
        return
    finally:
        store.delete(key)
    raise StoreError(
        f"{store.url} replaces objects that should be written once",
        hint="The server ignores If-None-Match; a later version of it may not. "
        "No repository can be kept there safely.",
    )


def _memory_store(name: str) -> MemoryStore:
    with _memory_lock:
        return _memory_stores.setdefault(name, MemoryStore(name))


def _path_of_file_url(location: str) -> str:
    parts = urlsplit(location)
    if parts.netloc not in {"", "localhost"}:
        raise InvalidInput(
            f"{location} names the machine {parts.netloc!r}; a file location is on this one",
            hint=f"Write file:///{parts.netloc}{parts.path} when that is a folder.",
        )
    path = unquote(parts.path)
    if not path.startswith("/") or parts.query or parts.fragment:
        raise InvalidInput(f"not a folder: {location}", hint="Write file:///folder.")
    return path


def _unknown_scheme(scheme: str) -> InvalidInput:
    near = get_close_matches(scheme, LOCATIONS, n=1)
    meant = f"Did you mean {LOCATIONS[near[0]]}? " if near else ""
    return InvalidInput(f"unknown kind of location: {scheme}://", hint=meant + _known_locations())


def _known_locations() -> str:
    return f"A location is a path, {', '.join(LOCATIONS.values())}."
