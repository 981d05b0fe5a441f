"""The driver: an inventory and a lifecycle."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from hypersdk.drivers.specs import checked, refuse
from hypersdk.model.capabilities import Limit
from hypersdk.model.errors import (
    AlreadyExists,
    InstanceNotFound,
    InvalidState,
    LimitExceeded,
    NotSupported,
)
from hypersdk.model.instances import Instance, InstanceState
from hypersdk.model.specs import InstanceSpec

#: Aspects of lifecycle that need more than a file, and fields of a spec that nothing here has.
LACKS = (
    *("pause", "reset", "start_paused", "disks", "nics", "env", "mounts", "ports"),
    *("pids_limit", "cloud_init", "cpu_weight", "cpu_limit"),
)
NO_FIELDS = (
    *("disks", "nics", "firmware", "cdrom", "cloud_init", "kernel", "initrd", "image", "command"),
    *("kernel_arguments", "env", "mounts", "ports", "pids_limit", "cpu_weight", "cpu_limit"),
)


def connect(url: str) -> Acme:
    return Acme(Path(url.removeprefix("acme://")))


class Acme:
    """One folder."""

    host = details = events = clones = snapshots = disks = checkpoints = None
    provisioning = leftovers = metrics = console = guest_agent = hotplug = None
    live_migration = storage = networks = execution = logs = images = archives = None

    def __init__(self, folder: Path) -> None:
        self.url = f"acme://{folder}"
        self.inventory = AcmeInventory(folder)
        self.lifecycle = AcmeLifecycle(folder)

    def close(self) -> None:
        """Nothing is held."""


class AcmeInventory:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def instances(self) -> Iterator[Instance]:
        with _locked(self._folder):
            found = [_read(path) for path in self._folder.glob("*.json")]
        return iter(sorted(found, key=lambda instance: instance.name))

    def instance(self, name: str) -> Instance:
        return next((i for i in self.instances() if name in (i.name, i.id)), None) or _missing(name)


class AcmeLifecycle:
    limits = tuple(Limit(f"lifecycle.{aspect}", "an instance is a file") for aspect in LACKS)

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def create(self, spec: InstanceSpec) -> Instance:
        checked(spec)
        refuse(spec, NO_FIELDS, "which a file does not have")
        if spec.vcpus > 64 or spec.memory > 1 << 40:
            raise LimitExceeded(f"'{spec.name}' is too large", hint="64 processors, 1 TiB.")
        path = _path(self._folder, spec.name)
        with _locked(self._folder):
            if path.exists():
                raise AlreadyExists(f"'{spec.name}' exists", hint="Choose another name.")
            content = {"id": str(uuid4()), "name": spec.name, "state": "stopped"}
            figures = {"vcpus": spec.vcpus, "memory": spec.memory, "folder": spec.folder}
            _write(path, {**content, **figures, "tags": dict(spec.tags)})
            return _read(path)

    def start(self, name: str, *, paused: bool = False) -> None:
        with self._found(name) as path:
            if paused:
                raise NotSupported("instances here are not paused", hint="Start it.")
            _write(path, {**json.loads(path.read_text()), "state": "running"})

    def stop(self, name: str, *, force: bool = False, timeout: float = 60.0) -> None:
        with self._found(name) as path:
            _write(path, {**json.loads(path.read_text()), "state": "stopped"})

    def pause(self, name: str) -> None:
        raise NotSupported(f"'{name}' cannot be paused", hint="Stop it.")

    def resume(self, name: str) -> None:
        raise NotSupported(f"'{name}' cannot be resumed", hint="Start it.")

    def reset(self, name: str) -> None:
        raise NotSupported(f"'{name}' cannot be reset", hint="Stop it and start it.")

    def delete(self, name: str, *, disks: bool = False) -> None:
        with self._found(name) as path:
            if _read(path).state is not InstanceState.STOPPED:
                raise InvalidState(f"'{name}' runs", hint="Stop it first.")
            path.unlink()

    @contextmanager
    def _found(self, name: str) -> Iterator[Path]:
        with _locked(self._folder):
            for path in self._folder.glob("*.json"):
                if name in (_read(path).name, _read(path).id):
                    yield path
                    return
        _missing(name)


def _missing(name: str) -> Any:
    raise InstanceNotFound(f"no instance '{name}'", hint="List them.")


def _path(folder: Path, name: str) -> Path:
    return folder / f"{hashlib.sha256(name.encode()).hexdigest()}.json"


def _read(path: Path) -> Instance:
    content = json.loads(path.read_text())
    content["state"] = InstanceState(content["state"])
    return Instance(**content, owned=True)


def _write(path: Path, content: dict[str, Any]) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps(content))
    new.replace(path)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One at a time, threads and processes."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
