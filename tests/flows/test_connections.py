from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

import hypersdk
from hypersdk.drivers.wrappers.breaker import BreakerState
from hypersdk.drivers.wrappers.guarded import Policy, connect_guarded
from hypersdk.flows import connections as module
from hypersdk.flows.connections import IDLE, Connections
from hypersdk.model.errors import InvalidInput, KeyRequired, NotFound
from hypersdk.model.estate import HypervisorRecord, RepositoryRecord

NOW = datetime.now(UTC)


class Site:
    """Records that change, and a clock that is set."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.hypervisors = {"lab": self.hypervisor("lab")}
        self.repositories: dict[str, RepositoryRecord] = {}
        self.now = 0.0
        self.connections = Connections(
            self._find,
            lambda name: self.repositories[name],
            known=lambda: tuple(self.hypervisors.values()),
            policy=Policy(retries=None),
            cache=root / "cache",
            clock=lambda: self.now,
        )

    def hypervisor(self, name: str, tenant: str = "") -> HypervisorRecord:
        (self.root / name).mkdir(exist_ok=True)
        url = f"mock://{self.root}/{name}"
        return HypervisorRecord(name=name, url=url, tenant=tenant, created=NOW, updated=NOW)

    def _find(self, name: str) -> HypervisorRecord:
        if name not in self.hypervisors:
            raise NotFound(f"no hypervisor is called '{name}'", hint="Did you mean lab?")
        return self.hypervisors[name]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    yield made
    made.connections.close()


@pytest.fixture
def closed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """URLs of hypervisors in the order in which they were closed."""
    urls: list[str] = []
    connect = connect_guarded

    def noting(url: str, policy: Policy) -> hypersdk.Hypervisor:
        opened = connect(url, policy)
        opened.close = lambda: urls.append(url)  # type: ignore[method-assign]
        return opened

    monkeypatch.setattr(module, "connect_guarded", noting)
    return urls


def test_opened_once_for_all_threads(site: Site) -> None:
    begin = threading.Barrier(16)

    def ask(_: int) -> int:
        begin.wait()
        return id(site.connections.hypervisor("lab"))

    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(ask, range(16)))) == 1


def test_a_slow_one_keeps_no_other_waiting(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.hypervisors["slow"] = site.hypervisor("slow")
    connect, go, asked = connect_guarded, threading.Event(), threading.Event()

    def slowly(url: str, policy: Policy) -> hypersdk.Hypervisor:
        if url.endswith("slow"):
            asked.set()
            assert go.wait(30)
        return connect(url, policy)

    monkeypatch.setattr(module, "connect_guarded", slowly)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(site.connections.hypervisor, "slow")
        assert asked.wait(30)
        assert site.connections.hypervisor("lab").url.endswith("/lab")
        go.set()
        assert slow.result(30).url.endswith("/slow")


def test_a_changed_record_is_opened_anew_and_its_users_go_on(site: Site, closed: list[str]) -> None:
    old = site.hypervisors["lab"].url
    with site.connections.using_hypervisor("lab") as before:
        site.hypervisors["lab"] = replace(site.hypervisor("moved"), name="lab", revision=7)
        after = site.connections.hypervisor("lab")
        assert after.url.endswith("/moved")
        site.now += 2 * IDLE
        site.connections.hypervisor("lab")
        assert closed == []
        assert before.url == old
    site.now += IDLE + 1
    assert site.connections.hypervisor("lab").url.endswith("/moved")
    assert old in closed


def test_idle_ones_are_closed_and_opened_again(site: Site, closed: list[str]) -> None:
    site.hypervisors["other"] = site.hypervisor("other")
    first = site.connections.hypervisor("lab")
    site.now += IDLE - 1
    assert site.connections.hypervisor("lab") is first
    site.now += IDLE - 1
    site.connections.hypervisor("other")
    assert closed == []
    site.now += 2
    site.connections.hypervisor("other")
    assert closed == [first.url]
    assert site.connections.hypervisor("lab") is not first


def test_one_that_could_not_be_opened_is_tried_again(site: Site) -> None:
    good = site.hypervisors["lab"]
    site.hypervisors["lab"] = replace(good, url="nonsense://lab")
    with pytest.raises(InvalidInput):
        site.connections.hypervisor("lab")
    site.hypervisors["lab"] = good
    assert site.connections.hypervisor("lab").url


def test_urls_name_themselves(site: Site) -> None:
    url = f"mock://{site.root}/lab"
    assert site.connections.hypervisor(url) is site.connections.hypervisor(url)
    assert site.connections.hypervisor_record(url).url == url
    with pytest.raises(InvalidInput, match="contains a password"):
        site.connections.hypervisor("vsphere://me:secret@vc/dc")
    with pytest.raises(NotFound, match="gone"):
        site.connections.hypervisor("gone")


def test_repositories(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    place = site.root / "repository"
    hypersdk.init_repository(
        place, protect=hypersdk.Protect.passphrase("correct horse"), cache=site.root / "cache"
    ).close()
    monkeypatch.setenv("MAIN_KEY", "correct horse")
    record = RepositoryRecord(
        name="main", location=str(place), key="env:MAIN_KEY", created=NOW, updated=NOW
    )
    site.repositories["main"] = record
    opened = site.connections.repository("main")
    assert opened.can_read
    assert site.connections.repository("main") is opened
    assert site.connections.repository(str(place)).locked
    monkeypatch.setenv("MAIN_KEY", "wrong")
    site.repositories["main"] = replace(record, revision=1)
    with pytest.raises(KeyRequired):
        site.connections.repository("main")


def test_keys_of_each_kind(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(bytes(32))
    identity, _ = hypersdk.generate_identity()
    (tmp_path / "identity").write_text(identity)
    plain = RepositoryRecord(name="main", location="/x", created=NOW, updated=NOW)
    assert module.key_of(plain) is None
    assert module.key_of(replace(plain, key_file=str(tmp_path / "key"))) is not None
    assert module.key_of(replace(plain, identity=str(tmp_path / "identity"))) is not None


def test_tenants_find_their_own(site: Site) -> None:
    site.hypervisors["theirs"] = site.hypervisor("theirs", tenant="acme")
    site.repositories["main"] = RepositoryRecord(
        name="main", location="/x", created=NOW, updated=NOW
    )
    connections = site.connections
    assert connections.hypervisor_record("theirs", tenant="acme").name == "theirs"
    assert [each.name for each in connections.known(tenant="acme")] == ["theirs"]
    assert [each.name for each in connections.known()] == ["lab", "theirs"]
    for name in ("lab", f"mock://{site.root}/lab"):
        with pytest.raises(NotFound), connections.using_hypervisor(name, tenant="acme"):
            pass
    for name in ("main", "/x"):
        with pytest.raises(NotFound), connections.using_repository(name, tenant="acme"):
            pass


def test_breaker(site: Site) -> None:
    site.connections.hypervisor("lab")
    assert site.connections.breaker("lab").state is BreakerState.CLOSED


def test_closed_and_asked_again(site: Site, closed: list[str]) -> None:
    first = site.connections.hypervisor("lab")
    site.connections.close()
    assert closed == [first.url]
    assert site.connections.hypervisor("lab") is not first
