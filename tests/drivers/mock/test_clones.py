from __future__ import annotations

import pytest

from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.model.errors import AlreadyExists, InvalidState, NotSupported
from hypersdk.model.instances import InstanceState
from hypersdk.model.specs import DiskSpec, InstanceSpec, NicSpec
from tests.drivers.mock.lab import MIB, kept


@pytest.fixture
def app(mock: MockHypervisor) -> MockHypervisor:
    """With a stopped instance ``app`` that has a disk with content, a NIC and a snapshot."""
    mock.lifecycle.create(
        InstanceSpec(
            name="app", disks=(DiskSpec(size=MIB),), nics=(NicSpec(),), tags={"tier": "gold"}
        )
    )
    with mock.guest("app", "vda") as guest:
        guest.write(0, b"original")
    mock.snapshots.create("app", "one")
    return mock


def test_a_clone_is_the_same_with_an_identity_of_its_own(app: MockHypervisor) -> None:
    since = kept(app, "app")
    clone = app.clones.clone("app", "copy")
    original = app.inventory.instance("app")
    assert (clone.name, clone.state, clone.tags) == ("copy", InstanceState.STOPPED, original.tags)
    assert clone.id != original.id
    nics = [app._root.find(name).definition().nics[0].mac for name in ("app", "copy")]
    assert nics[0] != nics[1]
    assert app.snapshots.snapshots("copy") == []
    with app.guest("copy", "vda") as guest:
        assert guest.read(0, 8) == b"original"
        guest.write(0, b"changed!")
    with app.guest("app", "vda") as guest:
        assert guest.read(0, 8) == b"original"
    with app.disks.view("copy", since) as view:
        assert "another instance" in view.disks[0].reason


def test_what_cannot_be_cloned_is_refused_and_leaves_nothing(app: MockHypervisor) -> None:
    before = [each.name for each in app.inventory.instances()]
    with pytest.raises(InvalidState, match="running"):
        app.clones.clone("web", "copy")
    with pytest.raises(AlreadyExists):
        app.clones.clone("app", "web")
    with pytest.raises(NotSupported, match="full clone"):
        app.clones.clone("app", "copy", linked=True)
    assert [each.name for each in app.inventory.instances()] == before
    assert not list(app._path.glob(".new-*"))


def test_a_template_is_cloned_and_not_started(app: MockHypervisor) -> None:
    for _ in range(2):
        app.clones.make_template("app")
    with pytest.raises(InvalidState, match="template"):
        app.lifecycle.start("app")
    app.clones.clone("app", "copy")
    app.lifecycle.start("copy")
    for _ in range(2):
        app.clones.unmake_template("app")
    app.lifecycle.start("app")
    with pytest.raises(InvalidState, match="running"):
        app.clones.make_template("app")
