from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.model.errors import InstanceNotFound
from hypersdk.model.instances import InstanceState
from tests.drivers.mock.lab import MIB, kept

HARD_NAMES = [
    "with space",
    "a/b/../c",
    "..",
    ".hidden",
    "ünïcödé 日本",
    "x" * 255,
    "é" * 127,
    "new\nline",
    "-rf",
    ":",
    "A",
    "a",
]


def test_instances_come_by_name_with_what_is_known(mock: MockHypervisor) -> None:
    mock.create_instance("app", {"vda": MIB, "vdb": 2 * MIB}, vcpus=3, memory=5, tags={"a": "b"})
    app, web = mock.inventory.instances()
    assert (app.name, app.state, app.vcpus, app.memory) == ("app", InstanceState.STOPPED, 3, 5)
    assert [(disk.name, disk.size, disk.format) for disk in app.disks] == [
        ("vda", MIB, "raw"),
        ("vdb", 2 * MIB, "raw"),
    ]
    assert app.tags == {"a": "b"}
    assert (web.name, web.state) == ("web", InstanceState.RUNNING)


def test_an_instance_is_found_by_id(mock: MockHypervisor) -> None:
    web = mock.inventory.instance("web")
    assert mock.inventory.instance(web.id) == web


def test_a_missing_instance_says_which_there_are(mock: MockHypervisor) -> None:
    with pytest.raises(InstanceNotFound, match="There are: web"):
        mock.inventory.instance("wbe")


def test_hard_names_are_names_like_others(mock: MockHypervisor) -> None:
    for name in HARD_NAMES:
        mock.create_instance(name, {"vda": MIB})
    for name in HARD_NAMES:
        assert mock.inventory.instance(name).name == name
        with mock.guest(name, "vda") as guest:
            guest.write(0, b"x")
        assert kept(mock, name)["vda"].startswith("mock:")
        mock.lifecycle.delete(name)
    assert [instance.name for instance in mock.inventory.instances()] == ["web"]


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(name=st.text(st.characters(codec="utf-8"), min_size=1, max_size=63))
def test_any_unicode_is_a_name(mock: MockHypervisor, name: str) -> None:
    if name == "web":
        return
    mock.create_instance(name, {})
    assert mock.inventory.instance(name).name == name
    mock.lifecycle.delete(name)
