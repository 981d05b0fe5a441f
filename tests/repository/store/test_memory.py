from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from hypersdk.repository.store.memory import MemoryStore
from tests.repository.store.suite import StoreSuite


class TestMemoryStore(StoreSuite):
    @pytest.fixture
    def store(self) -> MemoryStore:
        return MemoryStore("suite")


def test_the_clock_is_the_callers() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    store = MemoryStore(clock=lambda: now)
    store.put_if_absent("old", b"")
    now += timedelta(days=3)
    store.put_if_absent("new", b"")
    assert store.stat("new").modified - store.stat("old").modified == timedelta(days=3)


def test_is_named_by_its_location() -> None:
    assert MemoryStore("lab").url == "memory:lab"
