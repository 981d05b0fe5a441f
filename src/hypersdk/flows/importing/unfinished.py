"""Instances that a killed import left half written: how they are known, and removed.

Where a hypervisor makes an instance first and has its disks written then, it is there, stopped and
incomplete, when the import is killed. Each such import has a note on this machine,
``~/.local/state/hypersdk/imports/`` (``XDG_STATE_HOME``), which it keeps locked for as long as it
lives, and the instance bears the note's token as a tag. Whoever finds an unlocked note removes the
instance with that tag, unless somebody started it; an instance without it is never touched.
"""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from hypersdk.datapath.failures import from_os
from hypersdk.drivers.ports import Hypervisor
from hypersdk.model.errors import HyperSDKError, InstanceNotFound
from hypersdk.model.instances import Instance, InstanceState

#: Tag of instances that came by an import; its value is the token of that import.
TAG = "hypersdk.import"
#: Bytes of a note at most.
_MOST = 64 << 10


@dataclass(frozen=True, slots=True)
class _Note:
    #: Of the hypervisor, without secrets.
    url: str
    #: Name of the instance.
    name: str
    token: str


@contextmanager
def noted(hypervisor: Hypervisor, name: str) -> Iterator[str]:
    """A note for the time of an import; gives the token for the instance's tag.

    It goes in the end, also after an error, since who meets an error tidies up by himself.
    Raises DataPathError when it cannot be written.
    """
    note = _Note(hypervisor.url, name, secrets.token_hex(8))
    path = _folder() / f"{note.token}.json"
    temporary = path.with_suffix(".new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600)
    except OSError as error:
        raise from_os(error, path, "write") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.write(descriptor, json.dumps(asdict(note)).encode())
            os.fsync(descriptor)
            os.rename(temporary, path)  # locked when it is first seen
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise from_os(error, path, "write") from error
        yield note.token
        path.unlink(missing_ok=True)
    except Exception:
        path.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def reap_imports(
    hypervisor: Hypervisor, name: str | None = None, *, dry_run: bool = False
) -> list[str]:
    """Remove what killed imports left on this hypervisor; a line for each. ``name``: only an
    instance of this name.

    Imports that are alive are not touched, nor is an instance that was started meanwhile. One that
    cannot be removed now is left for later, and said.
    """
    done = []
    for path in sorted(_folder().glob("*.json")) if _folder().is_dir() else ():
        with _of_the_dead(path) as note:
            if note is None or note.url != hypervisor.url or name not in (None, note.name):
                continue
            try:
                done += _removed(hypervisor, note, dry_run=dry_run)
            except HyperSDKError as error:
                done.append(f"{note.name}: {error.message}; left for later")
                continue
            if not dry_run:
                path.unlink(missing_ok=True)
    return done


def may_be_removed(hypervisor: Hypervisor, name: str) -> bool:
    """Whether an instance that is there is one that a killed run left, so that an import of that
    name takes its place. Changes nothing."""
    lines = reap_imports(hypervisor, name, dry_run=True)
    if hypervisor.leftovers is not None:
        lines += hypervisor.leftovers.reap(dry_run=True)
    return any(line.startswith(f"{name}: ") for line in lines)


def _removed(hypervisor: Hypervisor, note: _Note, *, dry_run: bool) -> list[str]:
    instance = _of_import(hypervisor, note)
    if instance is None or hypervisor.lifecycle is None:
        return []  # it was killed before it made anything, or somebody was quicker
    if instance.state is not InstanceState.STOPPED:
        return [f"{note.name}: an import of it was killed, but it was started since: it stays"]
    if not dry_run:
        hypervisor.lifecycle.delete(note.name, disks=True)
    return [f"{note.name}: removed what an import that was killed had made of it"]


def _of_import(hypervisor: Hypervisor, note: _Note) -> Instance | None:
    if hypervisor.inventory is None:
        return None
    try:
        found = hypervisor.inventory.instance(note.name)
    except InstanceNotFound:
        return None
    return found if found.tags.get(TAG) == note.token else None


@contextmanager
def _of_the_dead(path: Path) -> Iterator[_Note | None]:
    """A note whose import is over, locked meanwhile; None for one that is alive or gone."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        yield None
        return
    try:
        yield _read(descriptor)
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> _Note | None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found = json.loads(os.pread(descriptor, _MOST, 0))
        return _Note(str(found["url"]), str(found["name"]), str(found["token"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _folder() -> Path:
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    return base / "hypersdk" / "imports"
