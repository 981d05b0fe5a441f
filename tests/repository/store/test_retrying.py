from __future__ import annotations

import pytest

from hypersdk.model.errors import (
    Interrupted,
    ObjectExists,
    ObjectMissing,
    StoreDenied,
    StoreFull,
    StoreUnavailable,
)
from hypersdk.repository.store.faults import FaultStore, SimulatedCrash
from hypersdk.repository.store.memory import MemoryStore
from hypersdk.repository.store.ports import Store
from hypersdk.repository.store.retrying import Patience, Retrying
from tests.repository.store.suite import StoreSuite


class TestRetryingStore(StoreSuite):
    @pytest.fixture
    def store(self) -> Retrying:
        return Retrying(MemoryStore(), sleep=unwanted_sleep)


def unwanted_sleep(seconds: float) -> None:
    raise AssertionError(f"slept {seconds} s although nothing failed for a moment only")


AWAY = StoreUnavailable("the place is away", hint="Check the network.")


@pytest.fixture
def faults() -> FaultStore:
    return FaultStore(MemoryStore())


@pytest.fixture
def sleeps() -> list[float]:
    return []


@pytest.fixture
def store(faults: FaultStore, sleeps: list[float]) -> Retrying:
    return Retrying(faults, Patience(attempts=5, jitter=0.5), sleep=sleeps.append)


def test_outlives_three_failures_of_every_operation(
    store: Retrying, faults: FaultStore, sleeps: list[float]
) -> None:
    for operation in ("put_if_absent", "get", "get_into", "list", "stat", "delete"):
        faults.fail(operation, AWAY, times=3)
    store.put_if_absent("k", b"content")
    assert store.get("k") == b"content"
    buffer = bytearray(7)
    store.get_into("k", 0, memoryview(buffer))
    assert buffer == b"content"
    assert [found.key for found in store.list()] == ["k"]
    faults.fail("list", AWAY, times=3)
    assert store.folders() == ()
    assert store.stat("k").size == 7
    store.delete("k")
    assert list(store.list()) == []
    assert len(sleeps) == 21


def test_waits_longer_each_time_with_jitter(
    store: Retrying, faults: FaultStore, sleeps: list[float]
) -> None:
    faults.fail("get", AWAY, times=None)
    with pytest.raises(StoreUnavailable):
        store.get("k")
    for wait, base in zip(sleeps, (0.2, 0.4, 0.8, 1.6), strict=True):
        assert base <= wait <= base + 0.5


def test_gives_up_with_the_last_error_and_says_that_nothing_is_lost(
    store: Retrying, faults: FaultStore
) -> None:
    faults.fail("get", StoreUnavailable("first"), times=4)
    faults.fail("get", StoreUnavailable("last", hint="Check the network."), times=None)
    with pytest.raises(StoreUnavailable) as given_up:
        store.get("k")
    assert given_up.value.message == "last"
    assert given_up.value.hint == (
        "Tried 5 times. Nothing that was stored is lost: the same command continues from it. "
        "Check the network."
    )
    assert faults.calls["get"] == 5


def test_gives_up_when_the_time_is_over(faults: FaultStore, sleeps: list[float]) -> None:
    store = Retrying(faults, Patience(attempts=100, timeout=0.0), sleep=sleeps.append)
    faults.fail("get", AWAY, times=None)
    with pytest.raises(StoreUnavailable):
        store.get("k")
    assert sleeps == []


@pytest.mark.parametrize(
    "error", [StoreDenied("no"), StoreFull("no"), ObjectMissing("no"), ObjectExists("no")]
)
def test_does_not_repeat_what_cannot_succeed(
    store: Retrying, faults: FaultStore, sleeps: list[float], error: Exception
) -> None:
    faults.fail("put_if_absent", error)
    with pytest.raises(type(error), match=r"^no$"):
        store.put_if_absent("k", b"x")
    assert sleeps == []


class TestAmbiguousPut:
    """The object was stored, but the answer was lost."""

    def test_recognises_its_own_object(self, store: Retrying, faults: FaultStore) -> None:
        faults.fail("put_if_absent", AWAY, after=True)
        store.put_if_absent("k", memoryview(b"content"))
        assert store.get("k") == b"content"

    @pytest.mark.parametrize("other", [b"CONTENT", b"longer than ours", b""])
    def test_does_not_take_anothers_for_its_own(
        self, store: Retrying, faults: FaultStore, other: bytes
    ) -> None:
        faults.inner.put_if_absent("k", other)
        faults.fail("put_if_absent", AWAY)
        with pytest.raises(ObjectExists):
            store.put_if_absent("k", b"content")
        assert store.get("k") == other

    def test_an_object_taken_at_first_is_anothers_even_if_equal(
        self, store: Retrying, faults: FaultStore
    ) -> None:
        faults.inner.put_if_absent("k", b"content")
        with pytest.raises(ObjectExists):
            store.put_if_absent("k", b"content")

    def test_goes_on_when_the_look_fails_too(self, store: Retrying, faults: FaultStore) -> None:
        faults.fail("put_if_absent", AWAY, after=True)
        faults.fail("stat", AWAY)
        faults.fail("get", AWAY)
        store.put_if_absent("k", b"content")
        assert store.get("k") == b"content"


def test_a_crash_passes_through(store: Retrying, faults: FaultStore) -> None:
    faults.crash_at_write(1)
    with pytest.raises(SimulatedCrash):
        store.put_if_absent("k", b"x")


def test_a_wait_can_be_cancelled(faults: FaultStore) -> None:
    def cancelled(seconds: float) -> None:
        raise Interrupted("cancelled")

    store = Retrying(faults, sleep=cancelled)
    faults.fail("get", AWAY)
    with pytest.raises(Interrupted):
        store.get("k")


def test_passes_on_what_the_store_is(faults: FaultStore, store: Store) -> None:
    assert (store.url, store.latency_bound) == (faults.url, faults.latency_bound)
