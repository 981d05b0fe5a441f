"""What `hypersdk doctor` looks at. Each look uses the thing rather than asking whether it is there.

A look returns what it found, raises Missing when there is nothing, and anything else when what is
there does not work.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from hypersdk import (
    HyperSDKError,
    Key,
    Protect,
    backup_image,
    connect,
    init_repository,
    open_repository,
)
from hypersdk.cli import words
from hypersdk.cli.terminal import Terminal
from hypersdk.model.units import MIB

#: Seconds for a program to say its version.
_PATIENCE = 10
#: Bytes that are stored and read back.
_SAMPLE = 16 * MIB

Look = Callable[[], str]


class Missing(Exception):
    """Nothing there."""


class State(Enum):
    """How a thing was found."""

    WORKS = "works"
    MISSING = "missing"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the report."""

    name: str
    #: True when every backup needs it.
    needed: bool
    state: State
    #: Version, place, or what went wrong.
    found: str
    #: What it is good for.
    gives: str
    #: What to do when it does not work.
    install: str


def examine(terminal: Terminal) -> list[Check]:
    """Every check, in the order of the report. Takes about a second."""
    pip, qemu = "pip install --force-reinstall hypersdk", package("qemu-utils", "qemu-img")
    cache = terminal.settings.cache_dir
    needed = partial(_check, needed=True)
    optional = partial(_check, needed=False)
    formats = "qcow2, vmdk, vhdx, vdi images"
    return [
        needed("python", "runs everything", _python, "install Python 3.11 or later"),
        needed("sqlite", "the index cache", _sqlite, "install a Python with sqlite3"),
        needed("zstandard", "compression", partial(_library, "zstandard"), pip),
        needed("blake3", "ids of chunks", partial(_library, "blake3"), pip),
        needed("cryptography", "encryption", partial(_library, "cryptography"), pip),
        needed("cache folder", "quick repeated runs", partial(_cache, cache), _CACHE_REPAIR),
        needed("repository", "all of these at work", _repository, pip),
        optional("qemu-img", formats, partial(program, "qemu-img"), qemu),
        optional("qemu-nbd", formats, partial(program, "qemu-nbd"), qemu),
        optional("libnbd", "the same, and NBD exports", libnbd, package("libnbd0", "libnbd")),
        optional("libvirt", "KVM: guests of libvirt+qemu:///system", _libvirt, _LIBVIRT_REPAIR),
        optional(
            "obstore",
            "repositories in s3://",
            partial(_library, "obstore"),
            "pip install 'hypersdk[s3]'",
        ),
        optional("keyring", "keyring: references", _keyring, _KEYRING_REPAIR),
    ]


_LIBVIRT_REPAIR = (
    "pip install 'hypersdk[libvirt]' (with libvirt-dev, pkg-config and a C compiler), and start "
    "libvirtd or virtqemud"
)
_KEYRING_REPAIR = "pip install 'hypersdk[keyring]' keyrings.alt; or use env: and file: instead"
_CACHE_REPAIR = "name a writable folder: export HYPERSDK_CACHE_DIR=…"


def _check(name: str, gives: str, look: Look, install: str, *, needed: bool) -> Check:
    try:
        found, state = look(), State.WORKS
    except (Missing, ModuleNotFoundError) as error:
        found, state = _reason(error), State.MISSING
    except Exception as error:  # noqa: BLE001 - whatever a broken library raises is its state
        found, state = _reason(error), State.BROKEN
    return Check(name, needed, state, found, gives, install)


def _reason(error: Exception) -> str:
    text = error.message if isinstance(error, HyperSDKError) else str(error)
    return text.splitlines()[0] if text else type(error).__name__


def package(debian: str, fedora: str) -> str:
    """The command that installs a system package here."""
    sudo = "" if os.geteuid() == 0 else "sudo "
    if shutil.which("dnf") and not shutil.which("apt-get"):
        return f"{sudo}dnf install {fedora}"
    return f"{sudo}apt-get install {debian}"


# -- looks


def _python() -> str:
    return f"{platform.python_version()}, {words.count(os.cpu_count() or 1, 'processor')}"


def _sqlite() -> str:
    with sqlite3.connect(":memory:") as database:
        database.execute("CREATE TABLE t(id BLOB PRIMARY KEY) WITHOUT ROWID")
    database.close()
    return sqlite3.sqlite_version


def _library(name: str, module: str = "") -> str:
    import_module(module or name)
    return version(name)


def _cache(folder: Path) -> str:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0")
    except OSError as error:
        raise RuntimeError(f"{folder}: {error.strerror}") from error
    return f"{folder}, {words.size(shutil.disk_usage(folder).free)} free"


def _repository() -> str:
    """Back up into an encrypted repository that lives for a second, and read it back."""
    with tempfile.TemporaryDirectory(prefix="hypersdk-doctor-") as folder:
        place, cache, image = (Path(folder, name) for name in ("repository", "cache", "image"))
        data = os.urandom(_SAMPLE)
        image.write_bytes(data)
        init_repository(place, protect=Protect.passphrase("doctor"), cache=cache).close()
        with open_repository(place, key=Key.passphrase("doctor"), cache=cache) as repository:
            began = time.perf_counter()
            point = backup_image(repository, image, "doctor")
            seconds = time.perf_counter() - began
            with repository.source(point, point.disks[0]) as source:
                found = bytearray(_SAMPLE)
                source.readinto(0, memoryview(found))
    if found != data:
        raise RuntimeError("does not give back what was stored")
    return f"stores random data, encrypted, at {words.size(_SAMPLE / seconds)}/s"


def program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise Missing("not on PATH")
    done = subprocess.run(
        [path, "--version"], capture_output=True, text=True, timeout=_PATIENCE, check=True
    )
    found = re.search(r"\d+\.\d+[.\d]*", done.stdout)
    return f"{found[0] if found else 'unknown version'}, {path}"


def libnbd() -> str:
    try:
        library = ctypes.CDLL("libnbd.so.0")
    except OSError as error:
        raise Missing("libnbd.so.0 cannot be loaded") from error
    library.nbd_create.restype = ctypes.c_void_p
    library.nbd_get_version.restype = ctypes.c_char_p
    handle = ctypes.c_void_p(library.nbd_create())
    try:
        return str(library.nbd_get_version(handle).decode())
    finally:
        library.nbd_close(handle)


def _libvirt() -> str:
    found = _library("libvirt-python", "libvirt")
    try:
        hypervisor = connect("libvirt+qemu:///system")
    except HyperSDKError as error:
        raise Missing(f"{found}, but {error.message}") from error
    hypervisor.close()
    return f"{found}, and libvirt answers"


def _keyring() -> str:
    found = _library("keyring")
    backend = import_module("keyring").get_keyring()
    if type(backend).__module__ == "keyring.backends.fail":
        raise Missing(f"{found}, but this machine has no keyring behind it")
    return f"{found}, {backend.name}"
