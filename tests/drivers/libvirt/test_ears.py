from __future__ import annotations

import queue

import libvirt

from hypersdk.drivers.libvirt.connection import Connection
from hypersdk.drivers.libvirt.ears import METADATA, Ears, Note

XML = "<domain type='test'><name>web</name><memory>1024</memory><os><type>hvm</type></os></domain>"


def test_all_who_listen_hear_it_until_they_leave() -> None:
    connection = Connection("test:///default")
    ears = Ears(connection)
    first: queue.SimpleQueue[Note] = queue.SimpleQueue()
    second: queue.SimpleQueue[Note] = queue.SimpleQueue()
    assert ears.listen(first.put) is connection.native
    ears.listen(second.put)
    ears.listen(second.put)  # changes nothing
    domain = connection.native.defineXML(XML)
    for notes in (first, second):
        heard = notes.get(timeout=5)
        assert (heard.name, heard.type) == ("web", libvirt.VIR_DOMAIN_EVENT_DEFINED)
        assert heard.id == domain.UUIDString()
    ears.leave(first.put)
    domain.setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, "a title", None, None)
    assert second.get(timeout=5).type == METADATA
    assert first.empty()
    assert second.empty()
    ears.close()
    ears.close()
    connection.close()
