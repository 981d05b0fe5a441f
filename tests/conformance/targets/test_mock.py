"""What the kit sees of a mock hypervisor past its driver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from hypersdk.conformance.target import (
    Crashes,
    HasStubborn,
    MakesForeign,
    Observer,
    Removes,
    Site,
    Target,
)
from hypersdk.conformance.targets.mock import MockTarget, target
from hypersdk.drivers.mock.driver import connect
from hypersdk.model.errors import HypervisorUnreachable, InstanceNotFound
from hypersdk.model.instances import InstanceState
from hypersdk.model.specs import NicSpec
from hypersdk.model.units import MIB


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[MockTarget]:
    with closing(target(f"mock://{tmp_path}/lab", Site())) as found:
        yield found


def test_it_is_all_that_the_kit_knows(lab: MockTarget) -> None:
    typed: Target = lab
    observer: Observer | None = typed.observer
    assert observer is not None
    assert isinstance(typed, MakesForeign)
    assert isinstance(typed, Removes)
    assert isinstance(typed, Crashes)
    assert isinstance(typed, HasStubborn)


def test_what_was_made_is_seen_in_the_files(lab: MockTarget) -> None:
    hypervisor = connect(lab.url)
    spec = replace(
        lab.spec("web"),
        vcpus=3,
        cpu_weight=300,
        cpu_limit=1.5,
        env={"A": "b"},
        nics=(NicSpec(mac="52:54:00:00:00:01"),),
    )
    made = hypervisor.lifecycle.create(spec)
    seen = lab.observer.look("web")
    assert seen is not None
    assert (seen.id, seen.state, seen.vcpus) == (made.id, InstanceState.STOPPED, 3)
    assert (seen.cpu_weight, seen.cpu_limit, seen.memory) == (300, 1.5, spec.memory)
    assert (seen.env, seen.nics) == ({"A": "b"}, ("52:54:00:00:00:01",))
    assert seen.disks == {"vda": 64 * MIB}
    assert lab.observer.look("nobody") is None


def test_resources_are_what_instances_leave(lab: MockTarget) -> None:
    hypervisor = connect(lab.url)
    hypervisor.create_instance("first", {})
    before = lab.observer.resources()
    hypervisor.lifecycle.create(lab.spec("web"))
    assert any(line.endswith(".raw") for line in lab.observer.resources() - before)
    hypervisor.lifecycle.delete("web")
    (kept,) = (line for line in lab.observer.resources() - before if line.startswith("file"))
    assert kept.startswith("file kept/")


def test_the_guest_writes_past_the_driver(lab: MockTarget) -> None:
    connect(lab.url).lifecycle.create(lab.spec("web"))
    lab.guest.write("web", 100, b"hello")
    lab.guest.zero("web", 101, 2)
    assert lab.guest.read("web", 100, 5) == b"h\0\0lo"


def test_it_can_meddle_as_others_would(lab: MockTarget) -> None:
    hypervisor = lab.connect()
    assert hypervisor.inventory is not None
    lab.make_foreign("theirs")
    assert not hypervisor.inventory.instance("theirs").owned
    connect(lab.url).lifecycle.start("theirs")
    lab.crash("theirs")
    assert hypervisor.inventory.instance("theirs").state is InstanceState.CRASHED
    lab.remove("theirs")
    with pytest.raises(InstanceNotFound):
        hypervisor.inventory.instance("theirs")
    assert lab.disconnect(hypervisor)
    with pytest.raises(HypervisorUnreachable):
        hypervisor.inventory.instances()


def test_without_a_folder_it_brings_its_own_and_removes_it() -> None:
    with closing(target("mock://", Site())) as lab:
        connect(lab.url).lifecycle.create(lab.spec("web"))
        assert lab.observer.look("web") is not None
        folder = lab.observer.folder("web")
        assert folder is not None
    assert not folder.exists()


def test_guests_have_an_agent_unless_the_url_says_otherwise(tmp_path: Path) -> None:
    for query, expected in (("", True), ("?guest_agent=false", False)):
        with closing(target(f"mock://{tmp_path}{query}", Site())) as lab:
            assert connect(lab.url).config.guest_agent is expected
