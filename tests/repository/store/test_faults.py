from __future__ import annotations

import pytest

from hypersdk.model.errors import ObjectMissing, StoreFull, StoreUnavailable
from hypersdk.repository.store.faults import FaultStore, SimulatedCrash
from hypersdk.repository.store.memory import MemoryStore
from tests.repository.store.suite import StoreSuite


class TestFaultStore(StoreSuite):
    @pytest.fixture
    def store(self) -> FaultStore:
        return FaultStore(MemoryStore())


@pytest.fixture
def store() -> FaultStore:
    return FaultStore(MemoryStore())


def keys(store: FaultStore) -> set[str]:
    return {found.key for found in store.inner.list()}


@pytest.mark.parametrize(("after", "kept"), [(False, {"0"}), (True, {"0", "1"})])
def test_dies_before_or_after_a_write(store: FaultStore, after: bool, kept: set[str]) -> None:
    store.crash_at_write(2, after=after)
    store.put_if_absent("0", b"x")
    with pytest.raises(SimulatedCrash):
        store.put_if_absent("1", b"x")
    with pytest.raises(SimulatedCrash):
        store.put_if_absent("2", b"x")
    assert store.crashed
    assert keys(store) == kept


def test_a_deletion_is_a_write(store: FaultStore) -> None:
    store.put_if_absent("k", b"x")
    store.crash_at_write(1)
    with pytest.raises(SimulatedCrash):
        store.delete("k")
    assert keys(store) == {"k"}


def test_a_dead_process_does_nothing_more(store: FaultStore) -> None:
    store.put_if_absent("k", b"x")
    store.crash_at_write(1)
    with pytest.raises(SimulatedCrash):
        store.put_if_absent("second", b"x")
    for dead in (
        lambda: store.get("k"),
        lambda: store.get_into("k", 0, memoryview(bytearray(1))),
        lambda: list(store.list()),
        lambda: store.stat("k"),
        lambda: store.delete("k"),
        lambda: store.put_if_absent("third", b"x"),
    ):
        with pytest.raises(SimulatedCrash):
            dead()
    assert keys(store) == {"k"}
    store.revive()
    assert not store.crashed
    assert store.get("k") == b"x"


def test_no_handler_for_errors_survives_the_crash() -> None:
    assert not issubclass(SimulatedCrash, Exception)


def test_fails_for_a_while(store: FaultStore) -> None:
    store.put_if_absent("k", b"x")
    store.fail("get", StoreUnavailable("away"), times=2, skip=1)
    assert store.get("k") == b"x"
    for _ in range(2):
        with pytest.raises(StoreUnavailable):
            store.get("k")
    assert store.get("k") == b"x"


def test_fails_from_a_write_on_until_healed(store: FaultStore) -> None:
    store.fail("put_if_absent", StoreFull("full"), times=None, skip=2)
    store.put_if_absent("0", b"x")
    store.put_if_absent("1", b"x")
    for number in (2, 3):
        with pytest.raises(StoreFull):
            store.put_if_absent(str(number), b"x")
    assert keys(store) == {"0", "1"}
    store.heal()
    store.put_if_absent("2", b"x")


def test_loses_an_answer(store: FaultStore) -> None:
    store.fail("put_if_absent", StoreUnavailable("away"), after=True)
    with pytest.raises(StoreUnavailable):
        store.put_if_absent("k", b"x")
    assert store.get("k") == b"x"


def test_turns_one_bit(store: FaultStore) -> None:
    store.put_if_absent("k", bytes(4))
    store.flip("k", 17)
    assert store.get("k") == b"\0\0\2\0"
    store.flip("k", 17)
    assert store.get("k") == bytes(4)


def test_loses_an_object(store: FaultStore) -> None:
    store.put_if_absent("k", b"x")
    store.vanish("k")
    with pytest.raises(ObjectMissing):
        store.get("k")


def test_keeps_a_journal(store: FaultStore) -> None:
    store.put_if_absent("k", b"x")
    list(store.list("folder"))
    store.get("k")
    store.flip("k", 0)
    assert store.journal == [("put_if_absent", "k"), ("list", "folder"), ("get", "k")]
    assert store.calls == {"put_if_absent": 1, "list": 1, "get": 1}
    assert store.writes == 1
