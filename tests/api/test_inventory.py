"""Lists of instances, and when they are asked for anew."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from hypersdk.api.inventory import FRESH, Inventory
from hypersdk.model.errors import HypervisorUnreachable
from hypersdk.model.estate import Event, HypervisorRecord
from hypersdk.model.instances import Instance, InstanceState

_NOW = datetime(2026, 11, 21, tzinfo=UTC)
LAB = HypervisorRecord(name="lab", url="mock:///lab", created=_NOW, updated=_NOW, revision=1)


class Fake:
    """Stands for the connections; counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.lost = False
        self.now = 0.0
        self.wait = threading.Event()
        self.wait.set()

    @contextmanager
    def using_hypervisor(self, name: str) -> Iterator[Any]:
        self.asked += 1
        self.wait.wait(30)
        if self.lost:
            raise HypervisorUnreachable("no answer", hint="wait")
        found = [Instance(id, id, InstanceState.STOPPED, 1, 1) for id in ("b", "a")]
        yield SimpleNamespace(inventory=SimpleNamespace(instances=lambda: iter(found)))


@pytest.fixture
def fake() -> Fake:
    return Fake()


@pytest.fixture
def inventory(fake: Fake) -> Inventory:
    return Inventory(fake, clock=lambda: fake.now)  # type: ignore[arg-type]


def test_a_list_is_good_for_a_while(fake: Fake, inventory: Inventory) -> None:
    (listed,) = inventory.of([LAB])
    assert [each.name for each in listed.instances] == ["a", "b"]
    fake.now += FRESH - 1
    assert inventory.of([LAB])[0].age == FRESH - 1
    assert fake.asked == 1
    fake.now += 2
    assert inventory.of([LAB])[0].age == 0
    assert fake.asked == 2


def test_it_is_asked_anew_when_wanted_or_changed(fake: Fake, inventory: Inventory) -> None:
    inventory.of([LAB])
    fake.now += 1
    inventory.of([LAB], refresh=True)
    assert fake.asked == 2
    inventory.forget("lab")
    inventory.of([LAB])
    assert fake.asked == 3
    inventory.of([replace(LAB, revision=2)])
    assert fake.asked == 4
    inventory.forget("never heard of")


def test_a_failure_is_told_and_not_repeated_at_once(fake: Fake, inventory: Inventory) -> None:
    fake.lost = True
    (listed,) = inventory.of([LAB])
    assert isinstance(listed.error, HypervisorUnreachable)
    inventory.of([LAB])
    assert fake.asked == 1
    fake.lost = False
    fake.now += 1
    assert inventory.of([LAB], refresh=True)[0].error is None


def test_many_at_once_ask_once(fake: Fake, inventory: Inventory) -> None:
    fake.wait.clear()
    found: list[int] = []

    def ask() -> None:
        found.append(len(inventory.of([LAB])[0].instances))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    fake.wait.set()
    for thread in threads:
        thread.join(30)
    assert (found, fake.asked) == ([2] * 8, 1)


@pytest.mark.parametrize(
    ("name", "subject", "asked"),
    [
        ("inventory.refreshed", "hypervisors/lab", 2),
        ("vm.deleted", "hypervisors/lab/instances/a", 2),
        ("inventory.refreshed", "hypervisors/other", 1),
        ("hypervisor.unreachable", "hypervisors/lab", 1),
        ("vm.started", "jobs/1", 1),
    ],
)
def test_what_jobs_tell_makes_a_list_old(
    fake: Fake, inventory: Inventory, name: str, subject: str, asked: int
) -> None:
    inventory.of([LAB])
    inventory.changed([], [Event(number=1, time=_NOW, name=name, subject=subject)])
    inventory.of([LAB])
    assert fake.asked == asked
