"""Folders of the inventory and files of datastores."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from hypersdk.drivers.vsphere import placement
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.drivers.vsphere.folders import Folders, datastore_file, file_size
from hypersdk.model.errors import InvalidInput, NotFound
from tests.drivers.vsphere.conftest import Made


@pytest.fixture
def root(connection: Connection) -> Any:
    top = placement.datacenter(connection)
    return connection.get(top, "vmFolder")["vmFolder"]


def test_missing_folders_are_made_and_removed_again(connection: Connection, root: Any) -> None:
    name = uuid4().hex
    folders = Folders(connection, root)
    made = folders.ensure(f"{name}/web")
    assert connection.get(made, "name")["name"] == "web"
    again = Folders(connection, root)
    assert again.ensure(f"{name}/web") == made
    again.remove_made()
    assert connection.get(made, "name")["name"] == "web"
    folders.remove_made()
    with pytest.raises(NotFound):
        connection.get(made, "name")


def test_no_folder_is_the_top(connection: Connection, root: Any) -> None:
    assert Folders(connection, root).ensure("") == root


def test_folders_in_use_stay(connection: Connection, root: Any) -> None:
    name = uuid4().hex
    folders = Folders(connection, root)
    folders.ensure(name)
    inner = Folders(connection, root)
    kept = inner.ensure(f"{name}/inner")
    folders.remove_made()
    assert connection.get(kept, "name")["name"] == "inner"
    inner.remove_made()


def test_a_machine_is_no_folder(connection: Connection, root: Any, made: Made) -> None:
    with pytest.raises(InvalidInput, match="is not a folder"):
        Folders(connection, root).ensure(f"{made()}/web")


@pytest.mark.parametrize("path", ["/srv/a.iso", "[ds]", "a.iso", "[] a.iso"])
def test_other_paths_are_refused(path: str) -> None:
    with pytest.raises(InvalidInput, match="no file of a datastore"):
        datastore_file(path)


def test_a_path_has_a_datastore() -> None:
    assert datastore_file("[ds 1] iso/a b.iso") == ("ds 1", "iso/a b.iso")


def test_files_are_found(connection: Connection, made: Made) -> None:
    name = made(disks=[{"size": 4 << 20}])
    devices = connection.get(connection.vm(name), "config.hardware.device")
    (path,) = (
        device.backing.fileName
        for device in devices["config.hardware.device"]
        if hasattr(device.backing, "thinProvisioned")
    )
    top = placement.datacenter(connection)
    assert file_size(connection, top, path) is not None
    assert file_size(connection, top, path.replace(name, "nobody")) is None
    with pytest.raises(NotFound, match="no datastore 'nowhere'"):
        file_size(connection, top, "[nowhere] a.iso")
