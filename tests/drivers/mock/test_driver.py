from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.drivers.mock.config import Config
from hypersdk.drivers.mock.driver import MockHypervisor, connect
from hypersdk.drivers.mock.lifecycle import MockLifecycle
from hypersdk.drivers.ports import Hypervisor, capabilities, present
from hypersdk.model.errors import (
    AlreadyExists,
    HypervisorError,
    HypervisorUnreachable,
    InstanceNotFound,
    InvalidInput,
    InvalidState,
    NotFound,
)
from hypersdk.model.instances import InstanceState
from tests.drivers.mock.lab import MIB


def test_state_survives_the_object(tmp_path: Path) -> None:
    first = connect(f"mock://{tmp_path}/lab")
    made = first.create_instance("web", {"vda": MIB}, vcpus=2, memory=MIB, tags={"tier": "gold"})
    with first.guest("web", "vda") as guest:
        guest.write(5, b"kept")
    first.close()
    second: Hypervisor = connect(first.url)
    assert second.inventory is not None
    assert second.inventory.instance("web") == made
    assert Path(made.disks[0].path).read_bytes()[5:9] == b"kept"


def test_disk_files_are_sparse(tmp_path: Path) -> None:
    made = MockHypervisor(tmp_path).create_instance("big", {"vda": 1 << 40})
    status = Path(made.disks[0].path).stat()
    assert status.st_size == 1 << 40
    assert status.st_blocks * 512 < MIB


def test_a_space_in_the_folder_survives_the_url(tmp_path: Path) -> None:
    hypervisor = MockHypervisor(tmp_path / "my lab")
    hypervisor.create_instance("web", {})
    assert " " not in hypervisor.url
    assert connect(hypervisor.url).inventory.instance("web").name == "web"


@pytest.mark.parametrize("url", ["mock://lab", "mock://lab/x", "mock://", "mock:///x#y"])
def test_a_url_must_name_an_absolute_folder(url: str) -> None:
    with pytest.raises(InvalidInput, match="three slashes"):
        connect(url)


def test_a_missing_folder_is_unreachable_and_not_created(tmp_path: Path) -> None:
    hypervisor = connect(f"mock://{tmp_path}/typo")
    with pytest.raises(HypervisorUnreachable, match="mkdir"):
        hypervisor.inventory.instances()
    with pytest.raises(HypervisorUnreachable):
        hypervisor.disks.view("web", {})
    assert not (tmp_path / "typo").exists()


def test_an_empty_folder_is_a_hypervisor_without_instances(tmp_path: Path) -> None:
    assert list(MockHypervisor(tmp_path).inventory.instances()) == []


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(HypervisorUnreachable):
        MockHypervisor(tmp_path).create_instance("web", {})
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_create_refuses_what_exists_and_what_makes_no_sense(mock: MockHypervisor) -> None:
    with pytest.raises(AlreadyExists):
        mock.create_instance("web", {})
    with pytest.raises(InvalidInput):
        mock.create_instance("minus", {"vda": -1})
    with pytest.raises(InvalidInput, match="1 to 255 bytes"):
        mock.create_instance("", {})
    with pytest.raises(InvalidInput, match="256"):
        mock.create_instance("é" * 128, {})
    with pytest.raises(InvalidInput, match="unicode"):
        mock.create_instance("\udc80", {})


def test_guest_needs_an_instance_and_a_disk(mock: MockHypervisor) -> None:
    with pytest.raises(InstanceNotFound):
        mock.guest("nobody", "vda")
    with pytest.raises(NotFound, match="Its disks: vda"):
        mock.guest("web", "vdb")


def test_a_half_made_instance_is_no_instance_and_is_swept(tmp_path: Path) -> None:
    hypervisor = MockHypervisor(tmp_path)
    hypervisor.create_instance("one", {})
    (tmp_path / ".new-killed" / "disks").mkdir(parents=True)
    (tmp_path / ".gone-killed").mkdir()
    assert [instance.name for instance in hypervisor.inventory.instances()] == ["one"]
    hypervisor.create_instance("two", {})
    assert not list(tmp_path.glob(".new-*"))
    assert not list(tmp_path.glob(".gone-*"))


def test_a_damaged_definition_is_named(mock: MockHypervisor) -> None:
    folder = Path(mock.inventory.instance("web").disks[0].path).parents[1]
    (folder / "definition.json").write_text('{"id": 1')
    with pytest.raises(HypervisorError, match=r"definition\.json is damaged"):
        mock.inventory.instance("web")


def test_a_url_may_say_how_it_behaves_and_keeps_saying_it(tmp_path: Path) -> None:
    url = f"mock://{tmp_path}/lab?profile=unreliable&seed=7"
    hypervisor = connect(url)
    assert hypervisor.url == url
    assert (hypervisor.config.profile, hypervisor.config.seed) == ("unreliable", 7)
    with pytest.raises(InvalidInput, match="'sed'"):
        connect(f"mock://{tmp_path}/lab?sed=7")


def test_parts_are_its_own_unless_something_stands_between(tmp_path: Path) -> None:
    assert isinstance(MockHypervisor(tmp_path).lifecycle, MockLifecycle)
    noted: Hypervisor = MockHypervisor(tmp_path, config=Config(journal=True))
    assert not isinstance(noted.lifecycle, MockLifecycle)
    assert capabilities(noted) == capabilities(MockHypervisor(tmp_path))


def test_parts_can_be_left_out_and_exchanged(tmp_path: Path) -> None:
    class Lazy(MockLifecycle):
        def start(self, name: str, *, paused: bool = False) -> None:
            """Does nothing."""

    mock = MockHypervisor(
        tmp_path, config=Config(without=frozenset({"snapshots"})), parts={"lifecycle": Lazy}
    )
    mock.create_instance("web", {})
    mock.lifecycle.start("web")
    assert mock.inventory.instance("web").state is InstanceState.STOPPED
    assert "snapshots" not in present(mock)


def test_only_a_running_guest_panics(mock: MockHypervisor) -> None:
    mock.panic("web")
    assert mock.inventory.instance("web").state is InstanceState.CRASHED
    with pytest.raises(InvalidState):
        mock.panic("web")
