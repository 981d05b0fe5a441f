from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.drivers.mock.clock import FakeClock
from hypersdk.drivers.mock.config import Config
from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.model.errors import InstanceNotFound
from hypersdk.model.specs import InstanceSpec


def test_every_call_is_noted_with_how_it_ended_and_without_its_arguments(tmp_path: Path) -> None:
    config = Config(journal=True, latency={"lifecycle.*": 2.0})
    mock = MockHypervisor(tmp_path, config=config, clock=FakeClock(100.0))
    mock.lifecycle.create(InstanceSpec(name="web", env={"PASSWORD": "hunter2"}))
    mock.lifecycle.start("web")
    with pytest.raises(InstanceNotFound):
        mock.inventory.instance("nobody")
    notes = [(n.operation, n.instance, n.began, n.seconds, n.error) for n in mock.calls()]
    assert notes == [
        ("lifecycle.create", "web", 100.0, 2.0, ""),
        ("lifecycle.start", "web", 102.0, 2.0, ""),
        ("inventory.instance", "nobody", 104.0, 0.0, "InstanceNotFound"),
    ]
    assert "hunter2" not in (tmp_path / "hypervisor.calls").read_text()
    assert MockHypervisor(tmp_path, config=Config()).calls() == mock.calls()


def test_nothing_is_noted_unless_asked_for(tmp_path: Path) -> None:
    mock = MockHypervisor(tmp_path)
    mock.create_instance("web", {})
    mock.lifecycle.start("web")
    assert mock.calls() == []
    assert not (tmp_path / "hypervisor.calls").exists()
