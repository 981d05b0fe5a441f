from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import libvirt
import pytest

from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.ears import Ears
from hypersdk.drivers.libvirt.elements import document
from hypersdk.drivers.libvirt.keptmarks import KeptMarks
from hypersdk.drivers.libvirt.marks import NAMESPACE, PREFIX, Marks
from tests.kvm.domains import DiskSpec, domain_xml
from tests.kvm.fixtures import Lab

MINE = Marks(made=True, folder="prod", tags={"a": "b"})


def marked(name: str, noted: Marks = MINE, **options: object) -> str:
    return domain_xml(name, metadata=document(noted.element()), **options)  # type: ignore[arg-type]


@pytest.fixture
def connection(lab: Lab) -> Iterator[Connection]:
    connected = Connection(lab.libvirtd.uri)
    yield connected
    connected.close()


@pytest.fixture
def kept(connection: Connection) -> Iterator[KeptMarks]:
    ears = Ears(connection)
    yield KeptMarks(ears)
    ears.close()


def marks_of(kept: KeptMarks, connection: Connection, name: str = "web") -> Marks:
    (noted,) = kept.of_all([connection.domain(name)])
    return noted


def until(kept: KeptMarks, connection: Connection, wanted: Marks) -> None:
    """An event arrives a moment after the call that caused it."""
    deadline = time.monotonic() + 5
    while marks_of(kept, connection) != wanted:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def note(domain: libvirt.virDomain, noted: Marks, flags: int = 0) -> None:
    kind = libvirt.VIR_DOMAIN_METADATA_ELEMENT
    domain.setMetadata(kind, document(noted.element("")), PREFIX, NAMESPACE, flags)


def test_every_change_is_seen(lab: Lab, connection: Connection, kept: KeptMarks) -> None:
    domain = lab.connection.defineXML(marked("web"))
    assert marks_of(kept, connection) == MINE
    tagged = replace(MINE, tags={"c": "d"})
    note(domain, tagged)
    until(kept, connection, tagged)
    lab.connection.defineXML(domain_xml("web", uuid=domain.UUIDString()))
    until(kept, connection, Marks())
    lab.connection.defineXML(marked("web", uuid=domain.UUIDString()))
    until(kept, connection, MINE)
    domain.create()
    note(domain, tagged, libvirt.VIR_DOMAIN_AFFECT_CONFIG)
    assert marks_of(kept, connection) == MINE  # as it runs
    domain.destroy()
    until(kept, connection, tagged)


def test_reverting_a_snapshot_brings_back_its_marks(
    lab: Lab, connection: Connection, kept: KeptMarks
) -> None:
    domain = lab.connection.defineXML(marked("web", disks=[DiskSpec(lab.image("a.qcow2", "1M"))]))
    snapshot = domain.snapshotCreateXML("<domainsnapshot><name>s</name></domainsnapshot>")
    note(domain, Marks(folder="elsewhere"))
    until(kept, connection, Marks(folder="elsewhere"))
    domain.revertToSnapshot(snapshot)
    until(kept, connection, MINE)


def test_nothing_is_asked_twice(lab: Lab, connection: Connection, kept: KeptMarks) -> None:
    """What is kept is what is given: nobody looks whether it is true."""
    lab.connection.defineXML(marked("web"))
    domain = connection.domain("web")
    assert kept.of_all([domain]) == [MINE]
    assert kept._known[domain.UUIDString()] == MINE
    kept._known[domain.UUIDString()] = Marks(folder="as kept")
    assert kept.of_all([domain]) == [Marks(folder="as kept")]


def test_a_lost_connection_forgets_all(lab: Lab, connection: Connection, kept: KeptMarks) -> None:
    domain = lab.connection.defineXML(marked("web"))
    uuid = domain.UUIDString()
    assert marks_of(kept, connection) == MINE
    lab.libvirtd.kill()
    lab.libvirtd.restart()
    again = lab.libvirtd.open()
    note(again.lookupByUUIDString(uuid), Marks(folder="new"))
    again.close()
    deadline = time.monotonic() + 5
    while connection._native.isAlive():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert marks_of(kept, connection) == Marks(folder="new")


def test_what_changes_while_it_is_read_is_not_kept() -> None:
    connection = Connection("test:///default")
    ears = Ears(connection)
    kept = KeptMarks(ears)
    domain = connection.domain("test")

    class Slow:
        """A domain that changes after it was asked and before we note the answer."""

        def UUIDString(self) -> str:  # noqa: N802 - libvirt's
            return str(domain.UUIDString())

        def metadata(self, kind: int, uri: str) -> str:
            text = document(Marks(folder="old").element(""))
            kept._known.pop(domain.UUIDString())  # as the event does
            return text

    assert kept.of_all([Slow()]) == [Marks(folder="old")]
    assert domain.UUIDString() not in kept._known
    ears.close()
    connection.close()


def test_without_events_each_is_asked_each_time() -> None:
    connection = Connection("test:///default")
    kept = KeptMarks()
    domain = connection.domain("test")
    assert kept.of_all([domain]) == [Marks()]
    note(domain, MINE)
    assert kept.of_all([domain]) == [MINE]
    connection.close()
