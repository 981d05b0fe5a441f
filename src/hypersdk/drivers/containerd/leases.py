"""What is being made belongs to nobody yet: a lease keeps the garbage collector off it.

A lease expires by itself, so that a client that dies holds nothing for long.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import grpc

from hypersdk.drivers.containerd import labels
from hypersdk.drivers.containerd.api.services.leases.v1.leases_pb2 import (
    CreateRequest,
    DeleteRequest,
)
from hypersdk.drivers.containerd.connection import Connection, undisturbed

_LIFE = timedelta(hours=24)


@contextmanager
def lease(connection: Connection, *, collect: bool = False) -> Iterator[str]:
    """Its id, for calls that make something. Afterwards what nothing refers to is garbage.

    ``collect``: there is such garbage, so containerd shall look for it at once. It would do so by
    itself only when something else is deleted.
    """
    name = f"hypersdk-{secrets.token_hex(8)}"
    expires = (datetime.now(UTC) + _LIFE).strftime("%Y-%m-%dT%H:%M:%SZ")
    connection.change(
        "leases.Create", CreateRequest(id=name, labels={labels.GC_EXPIRE: expires}), timeout=30
    )
    try:
        yield name
    except BaseException:
        # What was half made goes at once: it may be why there was no room.
        with undisturbed(), suppress(grpc.RpcError):
            connection.change("leases.Delete", DeleteRequest(id=name, sync=True), timeout=60)
        raise
    with undisturbed():
        connection.change("leases.Delete", DeleteRequest(id=name, sync=collect), timeout=60)
