"""Hypervisors and repositories by name, each opened once per process and shared by its threads.

A record that was changed is opened anew; whoever is still at work with what it was before goes on
with it. What is not in use is closed, a while after somebody asked for it last, by whoever asks for
something next.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from hypersdk.config.secrets import resolve
from hypersdk.drivers.ports import Hypervisor
from hypersdk.drivers.registry import refuse_secrets
from hypersdk.drivers.wrappers.breaker import BreakerStatus
from hypersdk.drivers.wrappers.guarded import Policy, breaker_status, connect_guarded
from hypersdk.model.errors import HyperSDKError, NotFound
from hypersdk.model.estate import HypervisorRecord, RepositoryRecord
from hypersdk.repository.keys import Key
from hypersdk.repository.repository import Repository
from hypersdk.repository.store.open import open_store

_log = logging.getLogger(__name__)

#: Seconds for which something stays open that was handed out by name: nobody says when they are
#: done with it, and no call to a hypervisor that is short enough for that takes longer.
IDLE = 1800.0


class _Closing(Protocol):
    def close(self) -> None: ...


C = TypeVar("C", bound=_Closing)


@dataclass(eq=False)
class _Open(Generic[C]):
    """One open thing."""

    name: str
    #: Of the record that it was opened by.
    revision: int
    #: Held while it is being opened, so that it is opened once.
    opening: threading.Lock = field(default_factory=threading.Lock)
    value: C | None = None
    users: int = 0
    asked: float = 0.0
    superseded: bool = False


class _Pool(Generic[C]):
    """Things of one kind by their names."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: dict[str, _Open[C]] = {}
        self._old: list[_Open[C]] = []

    @contextmanager
    def using(self, name: str, revision: int, open: Callable[[], C]) -> Iterator[C]:
        """It stays open until the block is left."""
        found = self._taken(name, revision)
        try:
            with found.opening:
                if found.value is None:
                    found.value = open()
            yield found.value
        finally:
            with self._lock:
                found.users -= 1
                found.asked = self._clock()

    def _taken(self, name: str, revision: int) -> _Open[C]:
        with self._lock:
            found = self._known.get(name)
            if found is not None and found.revision != revision:
                found.superseded = True
                self._old.append(found)
                found = None
            if found is None:
                found = self._known[name] = _Open(name, revision)
            found.users += 1
            found.asked = self._clock()
            unused = self._unused()
        for each in unused:
            _close(each)
        return found

    def _unused(self) -> list[_Open[C]]:
        """Those that nobody uses any more, taken out."""
        before = self._clock() - IDLE
        idle = [
            each
            for each in (*self._known.values(), *self._old)
            if not each.users and each.asked < before
        ]
        for each in idle:
            if each.superseded:
                self._old.remove(each)
            else:
                del self._known[each.name]
        return idle

    def close(self) -> None:
        with self._lock:
            everything = [*self._known.values(), *self._old]
            self._known.clear()
            self._old.clear()
        for each in everything:
            _close(each)


def _close(opened: _Open[C]) -> None:
    try:
        if opened.value is not None:
            opened.value.close()
    except HyperSDKError as error:  # a connection that is lost anyway
        _log.info("%s was closed: %s", opened.name, error.message)


class Connections:
    """Safe in threads. Names are those of records; what is written as a URL or path names itself.

    ``tenant``, where a method takes it, is whose job asks: it finds records of its own only, and
    may not use URLs and paths, with which it would reach what is not its own. None asks for the
    daemon itself.
    """

    def __init__(
        self,
        hypervisors: Callable[[str], HypervisorRecord],
        repositories: Callable[[str], RepositoryRecord],
        *,
        known: Callable[[], Sequence[HypervisorRecord]] = tuple,
        policy: Policy | None = None,
        cache: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``hypervisors``, ``repositories``: the record of a name; they raise NotFound with the
        nearest one. ``known``: all hypervisors. ``cache``: folder for index caches; None: a
        temporary one for each repository."""
        self._find_hypervisor = hypervisors
        self._find_repository = repositories
        self._known = known
        self._policy = policy or Policy()
        self._cache = cache
        self._hypervisors: _Pool[Hypervisor] = _Pool(clock)
        self._repositories: _Pool[Repository] = _Pool(clock)

    # Records.

    def hypervisor_record(self, name: str, *, tenant: str | None = None) -> HypervisorRecord:
        """Opens nothing. Raises NotFound, InvalidInput for a URL with a secret in it."""
        if "://" in name:
            refuse_secrets(name)
            _refuse_places(name, tenant, "hypervisor")
            return HypervisorRecord(name=name, url=name, created=_NEVER, updated=_NEVER)
        record = self._find_hypervisor(name)
        _refuse_others(record, tenant, "hypervisor")
        return record

    def repository_record(self, name: str, *, tenant: str | None = None) -> RepositoryRecord:
        """Opens nothing. Raises NotFound."""
        if "/" in name:
            _refuse_places(name, tenant, "repository")
            return RepositoryRecord(name=name, location=name, created=_NEVER, updated=_NEVER)
        record = self._find_repository(name)
        _refuse_others(record, tenant, "repository")
        return record

    def known(self, *, tenant: str | None = None) -> tuple[HypervisorRecord, ...]:
        """All hypervisors there are (of a tenant)."""
        return tuple(each for each in self._known() if not tenant or each.tenant == tenant)

    # What they stand for.

    @contextmanager
    def using_hypervisor(self, name: str, *, tenant: str | None = None) -> Iterator[Hypervisor]:
        """For work that takes long: it stays open meanwhile. Raises NotFound, and what connecting
        raises."""
        record = self.hypervisor_record(name, tenant=tenant)
        with self._hypervisors.using(
            name, record.revision, lambda: connect_guarded(record.url, self._policy)
        ) as opened:
            yield opened

    @contextmanager
    def using_repository(self, name: str, *, tenant: str | None = None) -> Iterator[Repository]:
        """As `using_hypervisor`. Raises NotARepository, KeyRequired, StoreError."""
        record = self.repository_record(name, tenant=tenant)
        with self._repositories.using(name, record.revision, lambda: self._opened(record)) as found:
            yield found

    def hypervisor(self, name: str) -> Hypervisor:
        """For a call or two: guarded, and open for half an hour at least."""
        with self.using_hypervisor(name) as opened:
            return opened

    def repository(self, name: str) -> Repository:
        """As `hypervisor`."""
        with self.using_repository(name) as opened:
            return opened

    def breaker(self, name: str) -> BreakerStatus:
        """Whether its circuit breaker lets calls pass. Raises NotFound."""
        return breaker_status(self.hypervisor_record(name).url, self._policy)

    def close(self) -> None:
        """Close all, also what is in use. What is asked for later is opened again."""
        self._hypervisors.close()
        self._repositories.close()

    def _opened(self, record: RepositoryRecord) -> Repository:
        return Repository.open(open_store(record.location), key_of(record), cache=self._cache)


#: Of records that are made of a URL.
_NEVER = datetime.fromtimestamp(0, UTC)


def key_of(record: RepositoryRecord) -> Key | None:
    """What opens the repository; None: nothing was named. Raises InvalidInput."""
    if record.key:
        return Key.passphrase(resolve(record.key))
    if record.key_file:
        return Key.file(record.key_file)
    return Key.identity(Path(record.identity)) if record.identity else None


def _refuse_others(
    record: HypervisorRecord | RepositoryRecord, tenant: str | None, what: str
) -> None:
    """As if it were not there: a tenant does not learn what others have."""
    if tenant and record.tenant != tenant:
        raise NotFound(
            f"no {what} is called '{record.name}'", hint=f"List those that you have: /v1/{what}s"
        )


def _refuse_places(text: str, tenant: str | None, what: str) -> None:
    if tenant:
        raise NotFound(
            f"no {what} is called '{text}'",
            hint=f"Jobs of a tenant name {what}s that it has, no URLs and paths.",
        )
