"""Ports of the host that containers cannot have."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator

from hypersdk.drivers.docker.connection import Connection
from hypersdk.drivers.docker.errors import native
from hypersdk.drivers.docker.translate import own_name
from hypersdk.model.errors import AlreadyExists

#: The engine says it in two ways: of a port that another container has, and of one that a program
#: of the host has.
_TAKEN = (
    re.compile(r"Bind for (?P<address>\S*):(?P<port>\d+) failed"),
    re.compile(r"listen (?:tcp|udp)[46]? (?P<address>\S*):(?P<port>\d+): bind"),
)


@contextlib.contextmanager
def explained(connection: Connection, name: str) -> Iterator[None]:
    """Around starting a container: say which port is taken, and by whom when it is a container."""
    try:
        yield
    except AlreadyExists as error:
        found = next((hit for each in _TAKEN if (hit := each.search(error.message))), None)
        if found is None:
            raise
        holder = _holder(connection, int(found["port"]))
        raise AlreadyExists(
            f"cannot start '{name}': port {found['port']} of {found['address']} is taken by "
            f"{holder or 'a program of the host'}",
            hint="Stop what holds it, or make the instance with another port.",
        ) from error


def _holder(connection: Connection, port: int) -> str:
    with native("look who has a port"):
        for row in connection.client.containers():
            if any(each.get("PublicPort") == port for each in row["Ports"]):
                return f"'{own_name(row['Names'])}'"
    return ""
