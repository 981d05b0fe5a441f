"""Lists that come in parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hypersdk.client.connection import Connection


def pages(
    connection: Connection,
    name: str,
    query: Mapping[str, Any] | None = None,
    path: Mapping[str, str] | None = None,
) -> Iterator[Any]:
    """Every item of a list, asked for part by part as they are taken."""
    asked = dict(query or {})
    while True:
        page = connection.call(name, path, query=asked)
        yield from page.items
        if page.next is None:
            return
        asked["cursor"] = page.next
