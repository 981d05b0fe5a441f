"""What the kit does not tell of clones and templates."""

from __future__ import annotations

from uuid import uuid4

import pytest

from hypersdk.drivers.vsphere.driver import VsphereHypervisor
from hypersdk.model.errors import InvalidInput
from hypersdk.model.specs import NicSpec
from tests.drivers.vsphere.machines import Create, create, remove

__all__ = ["create"]


def test_a_clone_has_the_tags_and_the_folder(hypervisor: VsphereHypervisor, create: Create) -> None:
    folder = f"kit/{uuid4().hex}"
    name = create(tags={"team": "web", "empty": ""}, folder=folder)
    copy = hypervisor.clones.clone(name, f"{name}-copy")
    try:
        assert (dict(copy.tags), copy.folder) == ({"team": "web", "empty": ""}, folder)
        assert copy.owned
    finally:
        remove(hypervisor, copy.name)


def test_addresses_given_by_hand_are_not_copied(
    hypervisor: VsphereHypervisor, create: Create
) -> None:
    mac = "00:50:56:00:33:44"
    name = create(nics=(NicSpec(network="VM Network", mac=mac),))
    copy = hypervisor.clones.clone(name, f"{name}-copy").name
    try:
        (nic,) = hypervisor.details.details(copy).nics
        assert nic.mac
        assert nic.mac.lower() != mac
    finally:
        remove(hypervisor, copy)


def test_templates_are_cloned(hypervisor: VsphereHypervisor, create: Create) -> None:
    name = create()
    hypervisor.clones.make_template(name)
    for linked in (False, True):
        copy = hypervisor.clones.clone(name, f"{name}-{linked}", linked=linked).name
        hypervisor.lifecycle.start(copy)
        remove(hypervisor, copy)
    assert hypervisor.details.details(name).template


def test_the_base_of_linked_clones_goes_with_the_last(
    hypervisor: VsphereHypervisor, create: Create
) -> None:
    name = create()
    copies = [hypervisor.clones.clone(name, f"{name}-{n}", linked=True).name for n in range(2)]
    assert len(hypervisor.snapshots.snapshots(name)) == 1
    for copy in copies:
        remove(hypervisor, copy)
    hypervisor.clones.unmake_template(name)
    assert hypervisor.snapshots.snapshots(name) == []


def test_impossible_names_are_refused(hypervisor: VsphereHypervisor, create: Create) -> None:
    with pytest.raises(InvalidInput, match="no name for vSphere"):
        hypervisor.clones.clone(create(), "a/b")
