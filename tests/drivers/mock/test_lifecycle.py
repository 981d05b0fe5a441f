from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.model.errors import InstanceNotFound, InvalidState
from hypersdk.model.instances import InstanceState
from tests.drivers.mock.lab import MIB


def state(mock: MockHypervisor) -> InstanceState:
    return mock.inventory.instance("web").state


def test_start_and_stop_may_be_repeated(mock: MockHypervisor) -> None:
    for _ in range(2):
        mock.lifecycle.stop("web")
        assert state(mock) is InstanceState.STOPPED
    for _ in range(2):
        mock.lifecycle.start("web")
        assert state(mock) is InstanceState.RUNNING


def test_delete_refuses_a_running_instance(mock: MockHypervisor) -> None:
    with pytest.raises(InvalidState, match="Stop it first"):
        mock.lifecycle.delete("web")


def test_delete_removes_everything_once(mock: MockHypervisor) -> None:
    folder = Path(mock.inventory.instance("web").disks[0].path).parents[1]
    mock.lifecycle.stop("web")
    mock.lifecycle.delete("web")
    assert not folder.exists()
    with pytest.raises(InstanceNotFound):
        mock.lifecycle.delete("web")


@pytest.mark.parametrize("verb", ["start", "stop", "delete"])
def test_a_missing_instance_is_not_found(mock: MockHypervisor, verb: str) -> None:
    with pytest.raises(InstanceNotFound):
        getattr(mock.lifecycle, verb)("nobody")


def test_delete_waits_for_no_backup(mock: MockHypervisor) -> None:
    mock.lifecycle.stop("web")
    with mock.disks.view("web", {}), pytest.raises(InvalidState, match="backup"):
        mock.lifecycle.delete("web")
    mock.lifecycle.delete("web")


def test_a_guest_handle_outlives_its_instance_with_an_error(mock: MockHypervisor) -> None:
    mock.lifecycle.stop("web")
    with mock.guest("web", "vda") as guest:
        mock.lifecycle.delete("web")
        mock.create_instance("web", {"vda": MIB})
        with pytest.raises(InstanceNotFound):
            guest.write(0, b"to the old one")
