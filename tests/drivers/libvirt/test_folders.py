from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.folders import PREFIX, Folders, volume_in, volume_xml
from hypersdk.model.errors import NotFound
from tests.kvm.fixtures import Lab


@pytest.fixture
def folders(lab: Lab) -> Iterator[Folders]:
    connection = Connection(lab.libvirtd.uri)
    yield Folders(connection)
    connection.close()


def test_a_pool_lasts_as_long_as_somebody_uses_the_folder(lab: Lab, folders: Folders) -> None:
    with folders.pool(str(lab.folder)) as first:
        assert first.name().startswith(PREFIX)
        with folders.pool(f"{lab.folder}/") as second:
            assert second.UUID() == first.UUID()
        assert first.isActive()
    assert lab.connection.listAllStoragePools() == []


def test_a_pool_that_is_there_is_used_and_left_alone(lab: Lab, folders: Folders) -> None:
    path = lab.folder / "ü & <x>"
    path.mkdir()
    escaped = str(path).replace("&", "&amp;").replace("<", "&lt;")
    pool = f"<pool type='dir'><name>mine</name><target><path>{escaped}</path></target></pool>"
    lab.connection.storagePoolDefineXML(pool).create()
    with folders.pool(str(path)) as found:
        assert found.name() == "mine"
    assert lab.connection.storagePoolLookupByName("mine").isActive()


def test_a_file_is_a_volume_wherever_it_is(lab: Lab, folders: Folders) -> None:
    image = lab.image("a & b.qcow2", "1M")
    with folders.volume(str(image)) as volume:
        assert volume.path() == str(image)
        assert volume.info()[1] == 1 << 20
    for missing in ("/dev/null", str(lab.folder / "gone"), "/no/such/folder/x"):
        with pytest.raises(NotFound), folders.volume(missing):
            pass


def test_a_file_that_came_later_is_seen_also_while_a_volume_is_made(
    lab: Lab, folders: Folders
) -> None:
    with folders.pool(str(lab.folder)) as pool:
        lab.image("later.qcow2", "1M")
        threads = [
            threading.Thread(target=pool.createXML, args=(volume_xml(f"v{n}", 1 << 20, "qcow2"),))
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        assert volume_in(pool, "later.qcow2").name() == "later.qcow2"
        for thread in threads:
            thread.join()
        with pytest.raises(NotFound, match="find 'gone'"):
            volume_in(pool, "gone")


def test_the_last_of_many_connections_takes_the_pool_away(lab: Lab) -> None:
    """Each comes and goes while others are at it; nobody loses the pool, and none is left."""
    problems: list[BaseException] = []

    def work(number: int) -> None:
        connection = Connection(lab.libvirtd.uri)
        folders = Folders(connection)
        try:
            for turn in range(6):
                with folders.pool(str(lab.folder)) as pool:
                    xml = volume_xml(f"{number}-{turn}.raw", 4096, "raw")
                    pool.createXML(xml).delete()
        except BaseException as error:  # noqa: BLE001 - shown below
            problems.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    assert lab.connection.listAllStoragePools() == []


def test_what_a_killed_process_left_goes_with_the_next(lab: Lab, folders: Folders) -> None:
    xml = (
        f"<pool type='dir'><name>{PREFIX}x</name><target><path>{lab.folder}</path></target></pool>"
    )
    lab.connection.storagePoolCreateXML(xml)
    with folders.pool(str(lab.folder)) as pool:
        assert pool.name() == f"{PREFIX}x"
    assert lab.connection.listAllStoragePools() == []
