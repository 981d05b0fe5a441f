"""What `hypervisord doctor` looks at. Each look uses the thing rather than asking for it.

A look gives what it found, raises Warned for what works and will not for long, and anything else
when it does not work. All looks are bounded in time.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import partial
from pathlib import Path

from cryptography.x509 import load_pem_x509_certificate

from hypersdk.accounts.users import UserStore
from hypersdk.app.database import LOCK, open_database
from hypersdk.app.exposure import refuse_open, tls_context
from hypersdk.app.listening import port_owner
from hypersdk.config.daemon import DaemonSettings
from hypersdk.config.daemon.sections import TlsSettings
from hypersdk.database.engine import Database
from hypersdk.estate.hypervisors import HypervisorStore
from hypersdk.estate.repositories import RepositoryStore
from hypersdk.flows.connections import Connections
from hypersdk.model.errors import HyperSDKError
from hypersdk.model.estate import HypervisorRecord, RepositoryRecord
from hypersdk.model.units import GIB, format_size

#: Seconds for one look, and for all of them.
_PATIENCE = 20.0
#: Bytes below which a disk is full, and below which it is about to be.
_FULL, _LOW = GIB // 4, 2 * GIB
#: Days before a certificate ends when that is said.
_SOON = timedelta(days=21)
#: Seconds by which clocks may differ.
_SKEW = 5.0
_AT_ONCE = 8
#: Year of this program: a clock that says less was never set.
_WRITTEN = 2025


class Verdict(Enum):
    """How a thing was found."""

    WORKS = "works"
    WARNING = "warning"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report."""

    name: str
    verdict: Verdict
    found: str
    hint: str = ""


class Warned(Exception):
    """It works, and something is to be said."""

    def __init__(self, found: str, hint: str) -> None:
        super().__init__(found)
        self.hint = hint


Look = Callable[[], str]


def examine(settings: DaemonSettings) -> list[Finding]:
    """Every look, in the order of the report."""
    looks: dict[str, Look] = {"state folder": partial(_folder, settings.state_dir, make=True)}
    looks["disk room"] = partial(_room, settings.state_dir)
    if settings.tls is not None:
        looks["certificate"] = partial(_certificate, settings.tls)
    findings = [_finding(name, look) for name, look in looks.items()]
    try:
        database = open_database(settings)
    except HyperSDKError as error:
        return [*findings, Finding("database", Verdict.BROKEN, error.message, error.hint)]
    with contextlib.closing(database):
        findings += [_finding(name, look) for name, look in _of_database(settings, database)]
        findings += _of_estate(settings, database)
    return findings


def _of_database(settings: DaemonSettings, database: Database) -> Iterator[tuple[str, Look]]:
    yield "database", partial(_database, database)
    yield "clock", partial(_clock, database)
    yield "daemon", partial(_daemon, settings, database)
    yield "access", partial(_access, settings, database)
    for name in ("exports", "imports", "isos", "backups"):
        yield f"folder {name}", partial(_folder, getattr(settings.folders, name))


def _of_estate(settings: DaemonSettings, database: Database) -> list[Finding]:
    """Hypervisors and repositories, at the same time: one that hangs holds nobody up."""
    hypervisors, repositories = _records(settings, database)
    connections = Connections(hypervisors.__getitem__, repositories.__getitem__)
    looks: dict[str, Look] = {}
    for name in sorted(hypervisors):
        looks[f"hypervisor {name}"] = partial(_hypervisor, connections, name)
    for name in sorted(repositories):
        looks[f"repository {name}"] = partial(_repository, connections, name)
    with contextlib.closing(connections):
        return _at_once(looks)


def _at_once(looks: Mapping[str, Look]) -> list[Finding]:
    pool = ThreadPoolExecutor(_AT_ONCE, "doctor")
    running = {name: pool.submit(_finding, name, look) for name, look in looks.items()}
    deadline = time.monotonic() + _PATIENCE
    findings = []
    for name, future in running.items():
        try:
            findings.append(future.result(max(0.0, deadline - time.monotonic())))
        except TooLate:
            said = f"no answer within {_PATIENCE:.0f} seconds"
            findings.append(Finding(name, Verdict.BROKEN, said, "Can it be reached from here?"))
    pool.shutdown(wait=False, cancel_futures=True)
    return findings


def _records(
    settings: DaemonSettings, database: Database
) -> tuple[dict[str, HypervisorRecord], dict[str, RepositoryRecord]]:
    """Those of the settings, which may not be in the database yet, and those that are."""
    hypervisors = {each.name: each for each in HypervisorStore(database).list()}
    repositories = {each.name: each for each in RepositoryStore(database).list()}
    now = database.now()
    for name, asked in settings.hypervisors.items():
        hypervisors[name] = HypervisorRecord(name=name, url=asked.url, created=now, updated=now)
    for name, wanted in settings.repositories.items():
        repositories[name] = RepositoryRecord(
            name=name, location=wanted.location, key=wanted.key, key_file=wanted.key_file,
            identity=wanted.identity, created=now, updated=now,
        )  # fmt: skip
    return hypervisors, repositories


def _finding(name: str, look: Look) -> Finding:
    try:
        return Finding(name, Verdict.WORKS, look())
    except Warned as warned:
        return Finding(name, Verdict.WARNING, str(warned), warned.hint)
    except HyperSDKError as error:
        return Finding(name, Verdict.BROKEN, error.message, error.hint)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return Finding(name, Verdict.BROKEN, f"{where}{error.strerror or error}")
    except Exception as error:  # noqa: BLE001 - what is broken may break in any way
        return Finding(name, Verdict.BROKEN, f"{type(error).__name__}: {error}")


def _folder(path: Path, *, make: bool = False) -> str:
    if make:
        path.mkdir(parents=True, exist_ok=True, mode=0o711)
    if not path.exists():
        parent = next(each for each in path.parents if each.exists())
        if os.access(parent, os.W_OK):
            return f"{path}, made when it is needed"
        raise Warned(
            f"{path} is not there, and cannot be made",
            f"Make it: install -d -o $(id -un) {path}; or name another one in folders.",
        )
    with tempfile.NamedTemporaryFile(dir=path, prefix=".hypersdk-"):
        return str(path)


def _room(path: Path) -> str:
    free = shutil.disk_usage(path).free
    said = f"{format_size(free)} left for {path}"
    if free < _FULL:
        raise OSError(28, said)
    if free < _LOW:
        raise Warned(said, "Make room, before the database cannot grow any more.")
    return said


def _certificate(settings: TlsSettings) -> str:
    tls_context(settings)
    read = load_pem_x509_certificate(settings.certificate.read_bytes())
    ends = read.not_valid_after_utc
    left = ends - datetime.now(UTC)
    said = f"{settings.certificate} is valid until {ends:%Y-%m-%d}"
    if left <= timedelta(0):
        raise OSError(f"{settings.certificate} ended on {ends:%Y-%m-%d}")
    if left < _SOON:
        raise Warned(said, "Renew it, then: systemctl reload hypervisord")
    return said


def _database(database: Database) -> str:
    began = time.monotonic()
    with database.write() as connection:
        database.next_numbers(connection, "doctor")
    return f"{database.place} ({(time.monotonic() - began) * 1000:.0f} ms to write)"


def _clock(database: Database) -> str:
    """Ours against the database server's: schedules and expiries go by it."""
    if database.sqlite:
        now = datetime.now(UTC)
        if now.year < _WRITTEN:
            raise OSError(f"the clock of this machine says {now:%Y-%m-%d}")
        return f"{now:%Y-%m-%d %H:%M:%S} UTC"
    skew = abs(database.skew())
    if skew > _SKEW:
        raise Warned(
            f"{skew:.0f} seconds away from that of the database",
            "Have both hosts keep time: timedatectl set-ntp true",
        )
    return f"{skew:.1f} seconds away from that of the database"


def _daemon(settings: DaemonSettings, database: Database) -> str:
    lock = database.lock(LOCK)
    if lock is None:
        return "runs"
    lock.release()
    owner = port_owner(settings.port) if settings.listen and settings.port else ""
    if owner:
        raise Warned(
            f"does not run, and its port {settings.port} is taken by {owner}",
            "Stop that one, or choose another port with listen.",
        )
    return "does not run"


def _access(settings: DaemonSettings, database: Database) -> str:
    users = UserStore(database)
    refuse_open(settings, users)
    if users.any():
        return f"{settings.listen or settings.socket}: by accounts"
    if settings.auth.oidc is not None:
        return f"{settings.listen}: by {settings.auth.oidc.issuer}"
    return f"{settings.listen or settings.socket}: open to everybody on this machine"


def _hypervisor(connections: Connections, name: str) -> str:
    with connections.using_hypervisor(name) as opened:
        if opened.host is None:
            return opened.url
        info = opened.host.info()
        return f"{info.product} {info.version} on {info.name}".strip()


def _repository(connections: Connections, name: str) -> str:
    with connections.using_repository(name) as repository:
        return f"{len(repository.entries())} restore points"
