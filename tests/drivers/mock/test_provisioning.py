"""Instances from restore points, also through the flow that people use."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import hypersdk
from hypersdk.drivers.diskports import Placement
from hypersdk.drivers.mock.config import Config, Limits
from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.model.errors import (
    AlreadyExists,
    InstanceNotFound,
    InvalidInput,
    InvalidState,
    LimitExceeded,
    NotFound,
)
from hypersdk.model.instances import Definition, Instance, InstanceState
from hypersdk.model.resources import Network
from hypersdk.model.specs import InstanceSpec, NicSpec
from tests.drivers.mock.lab import MIB, kept
from tests.flows.examples import repository_at


def definition(mock: MockHypervisor, name: str = "web") -> tuple[Definition, Instance]:
    with mock.disks.view(name, {}) as view:
        found = view.definition
        assert found is not None
        return found, view.instance


def built(mock: MockHypervisor, content: bytes, placement: Placement) -> Instance:
    saved, original = definition(mock)
    with mock.provisioning.build(saved, original.disks, placement) as building:
        with building.sink("vda") as sink:
            sink.write(0, memoryview(content))
            sink.flush()
        path = building.path("vda")
        made = building.commit()
    assert made.disks[0].path == path
    return made


def test_a_second_one_gets_an_identity_of_its_own(mock: MockHypervisor) -> None:
    mock.networks.create_network(Network("lan"))
    mock.hotplug.attach_nic("web", NicSpec(network="lan"))
    placement = Placement(name="copy", networks={"lan": "dmz"})
    with pytest.raises(NotFound, match="--map-network"):
        built(mock, b"", placement)
    made = built(mock, b"restored", replace(placement, isolated=True, tags={"by": "test"}))
    assert made.tags["by"] == "test"
    original = mock.inventory.instance("web")
    assert (made.name, made.state) == ("copy", InstanceState.STOPPED)
    assert made.id != original.id
    nics = [mock._root.find(name).definition().nics[0] for name in ("web", "copy")]
    assert nics[0].mac != nics[1].mac
    assert (nics[1].network, nics[1].linked) == ("dmz", False)
    assert Path(made.disks[0].path).read_bytes()[:8] == b"restored"


def test_one_that_replaces_its_original_keeps_its_identity(mock: MockHypervisor) -> None:
    since = kept(mock)
    original = mock.inventory.instance("web")
    with pytest.raises(AlreadyExists, match="--overwrite"):
        built(mock, b"", Placement())
    with pytest.raises(InvalidState, match="running"):
        built(mock, b"", Placement(overwrite=True))
    mock.lifecycle.stop("web")
    made = built(mock, b"restored", Placement(overwrite=True))
    assert made.id == original.id
    assert len(list(mock.inventory.instances())) == 1
    assert not Path(original.disks[0].path).exists()
    with mock.disks.view("web", since) as view:
        assert "another disk" in view.disks[0].reason


def test_without_a_commit_nothing_is_left_and_the_original_stays(mock: MockHypervisor) -> None:
    mock.lifecycle.stop("web")
    saved, original = definition(mock)
    for placement in (Placement(name="copy"), Placement(overwrite=True)):
        with mock.provisioning.build(saved, original.disks, placement) as building:
            building.sink("vda").close()
    assert [each.name for each in mock.inventory.instances()] == ["web"]
    assert len(list(mock._path.rglob("*.raw"))) == 1


def test_the_name_may_be_taken_meanwhile(mock: MockHypervisor) -> None:
    saved, original = definition(mock)
    with mock.provisioning.build(saved, original.disks, Placement(name="copy")) as building:
        building.sink("vda").close()
        taken = mock.lifecycle.create(InstanceSpec(name="copy"))
        with pytest.raises(AlreadyExists):
            building.commit()
    assert mock.inventory.instance("copy") == taken
    assert not list(mock._path.glob(".new-*"))


def test_what_makes_no_sense_is_refused(mock: MockHypervisor) -> None:
    saved, original = definition(mock)
    build = mock.provisioning.build
    with pytest.raises(InvalidInput, match="libvirt-xml"):
        build(Definition("libvirt-xml", b"<domain/>"), (), Placement(name="x"))
    with pytest.raises(InvalidInput, match="understood"):
        build(replace(saved, content=b"{}"), (), Placement(name="x"))
    for placement in (Placement(name="x", folder="/srv"), Placement(name="x", pool="default")):
        with pytest.raises(InvalidInput, match="with their instance"):
            build(saved, original.disks, placement)
    small = MockHypervisor(mock._path, config=Config(limits=Limits(memory=MIB)))
    with pytest.raises(LimitExceeded):
        small.provisioning.build(saved, original.disks, Placement(name="x"))


def test_discard_removes_it_whatever_its_state(mock: MockHypervisor, tmp_path: Path) -> None:
    file = tmp_path / "extra"
    file.write_bytes(b"x")
    for _ in range(2):
        mock.provisioning.discard("web", [str(file)])
    assert not file.exists()
    with pytest.raises(InstanceNotFound):
        mock.inventory.instance("web")
    assert not list(mock._path.rglob("*.raw"))


def test_a_backup_comes_back_as_an_instance(mock: MockHypervisor, tmp_path: Path) -> None:
    with mock.guest("web", "vda") as guest:
        guest.write(MIB, b"content of the guest")
    repository = repository_at(tmp_path)
    point = hypersdk.backup_instance(repository, mock, "web")
    elsewhere = MockHypervisor(tmp_path / "elsewhere")
    elsewhere.create_instance("other", {})
    options = hypersdk.ProvisionOptions(start=True)
    restored = hypersdk.restore_instance(repository, point, elsewhere, options=options)
    assert restored.instance.name == "web"
    assert elsewhere.inventory.instance("web").state is InstanceState.RUNNING
    with elsewhere.guest("web", "vda") as guest:
        assert guest.read(MIB, 20) == b"content of the guest"
