from __future__ import annotations

import io
import os
from collections.abc import Iterator

import pytest

from hypersdk.conformance.targets.busybox import digest
from hypersdk.drivers.containerd.address import Address
from hypersdk.drivers.containerd.connection import Connection
from hypersdk.drivers.containerd.content import Content
from hypersdk.drivers.containerd.leases import lease
from hypersdk.model.errors import InvalidInput
from tests.drivers.containerd.lab import Lab


@pytest.fixture
def content(lab: Lab) -> Iterator[tuple[Content, str]]:
    """With a lease that ends with the test."""
    connection = Connection(Address.parsed(lab.daemon.url))
    with lease(connection, collect=True) as held:
        yield Content(connection), held
    connection.close()


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (5 << 20) + 7])
def test_what_is_taken_is_read(content: tuple[Content, str], size: int) -> None:
    store, held = content
    data = os.urandom(size)
    for _ in range(2):  # a second time it is there already
        found = store.take("kind", io.BytesIO(data).read, held)
        assert (found.digest, found.size, found.media_type) == (digest(data), size, "kind")
    assert b"".join(store.pieces(found.digest)) == data


def test_a_source_that_fails(content: tuple[Content, str]) -> None:
    store, held = content
    left = [b"x" * 1000]

    def read(limit: int) -> bytes:
        if left:
            return left.pop()
        raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        store.take("kind", read, held)


@pytest.mark.parametrize("data", [b"no json", b"[1]", b"7"])
def test_what_is_no_document(content: tuple[Content, str], data: bytes) -> None:
    store, held = content
    found = store.put("kind", data, held, {})
    with pytest.raises(InvalidInput, match="no JSON document"):
        store.document(found.digest)
