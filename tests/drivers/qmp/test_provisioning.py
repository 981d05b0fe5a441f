"""Instances from what a backup held."""

from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.drivers.diskports import Placement
from hypersdk.model.errors import AlreadyExists, InvalidInput, InvalidState
from hypersdk.model.instances import Definition, Disk, Instance, InstanceState
from hypersdk.model.specs import DiskSpec, NicSpec
from hypersdk.model.units import MIB
from tests.drivers.qmp.conftest import Place


def saved(place: Place) -> tuple[Definition, list[Disk]]:
    with place.driver.disks.view("web", {}) as view:
        assert view.definition is not None
        return view.definition, [found.disk for found in view.disks]


def built(place: Place, placement: Placement) -> Instance:
    definition, disks = saved(place)
    with place.driver.provisioning.build(definition, disks, placement) as building:
        for disk in disks:
            with building.sink(disk.name) as sink:
                sink.write(0, memoryview(b"restored".ljust(4096, b"\0")))
        return building.commit()


def original(place: Place) -> Instance:
    kernel = place.folder / "kernel"
    kernel.write_bytes(b"k" * 4096)
    disks = (DiskSpec(size=8 * MIB), DiskSpec(size=MIB, format="raw"))
    return place.create(disks=disks, nics=(NicSpec(),), kernel=str(kernel))


def test_beside_the_original_it_is_another_one(place: Place) -> None:
    first = original(place)
    made = built(place, Placement(name="copy", isolated=True, tags={"by": "test"}))
    assert made.id != first.id
    assert made.tags == {**first.tags, "by": "test"}
    assert [(disk.name, disk.size, disk.format) for disk in made.disks] == [
        (disk.name, disk.size, disk.format) for disk in first.disks
    ]
    assert place.guest.read("copy", 0, 8) == b"restored"
    found = place.backend.definition("copy")[1]
    assert found["nics"][0]["mac"] != place.backend.definition("web")[1]["nics"][0]["mac"]
    assert found["nics"][0]["isolated"] is True
    assert Path(found["kernel"]).read_bytes().startswith(b"restored")
    assert place.driver.inventory.instance("copy").state is InstanceState.STOPPED


def test_in_place_of_the_original_it_is_the_same_one(place: Place) -> None:
    first = original(place)
    with pytest.raises(AlreadyExists):
        built(place, Placement())
    made = built(place, Placement(overwrite=True))
    assert made.id == first.id
    assert place.guest.read("web", 0, 8) == b"restored"
    assert [path for path in place.root.iterdir() if path.name.startswith(".")] == []


def test_in_a_folder_of_others(place: Place) -> None:
    original(place)
    folder = place.folder / "disks"
    folder.mkdir()
    made = built(place, Placement(name="copy", folder=str(folder)))
    assert {Path(disk.path).parent for disk in made.disks} == {folder}
    with pytest.raises(InvalidInput, match="no pool"):
        built(place, Placement(name="other", pool="fast"))
    place.driver.provisioning.discard("copy", [disk.path for disk in made.disks])
    assert [instance.name for instance in place.driver.inventory.instances()] == ["web"]


def test_what_is_not_committed_is_gone(place: Place) -> None:
    original(place)
    definition, disks = saved(place)
    provisioning = place.driver.provisioning
    with provisioning.build(definition, disks, Placement(name="copy")) as building:
        building.sink("vda").close()
    assert sorted(path.name[:3] for path in place.root.iterdir() if path.is_dir()) == ["web"]


def test_a_running_one_is_not_replaced_nor_a_strange_definition_built(place: Place) -> None:
    place.running()
    with pytest.raises(InvalidState):
        built(place, Placement(overwrite=True))
    definition, disks = saved(place)
    for bad in (Definition("libvirt", b"{}"), Definition(definition.kind, b"{}")):
        with pytest.raises(InvalidInput):
            place.driver.provisioning.build(bad, disks, Placement(name="x"))
