from __future__ import annotations

import pytest

from hypersdk.drivers.containerd.address import Address
from hypersdk.drivers.containerd.connection import Connection
from hypersdk.drivers.containerd.content import Content
from hypersdk.drivers.containerd.leases import lease
from tests.drivers.containerd.lab import Lab, eventually


def test_what_nothing_refers_to_goes_with_its_lease(lab: Lab) -> None:
    connection = Connection(Address.parsed(lab.daemon.url))
    content = Content(connection)
    with lease(connection, collect=True) as held:
        blob = content.put("x", b'{"a": 1}', held, {})
        assert content.document(blob.digest) == {"a": 1}
        assert held in lab.daemon.ctr("leases", "list")
    assert not content.has(blob.digest)
    assert held not in lab.daemon.ctr("leases", "list")
    connection.close()


def test_a_failure_leaves_no_lease(lab: Lab) -> None:
    connection = Connection(Address.parsed(lab.daemon.url))
    content = Content(connection)
    made = []

    def fail() -> None:
        with lease(connection) as held:
            made.append(content.put("x", b"never mind", held, {}).digest)
            raise RuntimeError

    before = lab.daemon.ctr("leases", "list")
    with pytest.raises(RuntimeError):
        fail()
    eventually(lambda: not content.has(made[0]))
    assert lab.daemon.ctr("leases", "list") == before
    connection.close()
