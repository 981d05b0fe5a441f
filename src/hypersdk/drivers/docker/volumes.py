"""Volumes that were made for instances, and images that exist only for one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping

from docker.errors import APIError, NotFound

from hypersdk.drivers.docker import marks
from hypersdk.drivers.docker.connection import Connection, Json

#: What the engine answers for a volume or image that something still needs.
_IN_USE = 409
#: Repositories of images that this driver makes: states to go back to, and what containers that
#: were made anew stand on.
SNAPSHOTS, BASES = "hypersdk-snapshot", "hypersdk-base"


def make_missing(
    connection: Connection, names: Iterable[str], identity: str, made: list[str]
) -> None:
    """Make the volumes that there are not; ``made`` is told of each at once."""
    for name in names:
        try:
            connection.client.inspect_volume(name)
        except NotFound:
            connection.client.create_volume(
                name, labels={marks.OWNED: "yes", marks.VOLUME_OF: identity}
            )
            made.append(name)


def remove(connection: Connection, names: Iterable[str]) -> None:
    """What is gone already, or needed by somebody, is left as it is."""
    for name in names:
        with _unless(404, _IN_USE):
            connection.client.remove_volume(name)


def only_of(connection: Connection, found: Json) -> list[str]:
    """Volumes of a container that were made for instances and that no other container uses."""
    names = {mount["Name"] for mount in found["Mounts"] if mount["Type"] == "volume"}
    alone = []
    for name in sorted(names):
        with _unless(404):
            labels: Mapping[str, str] = connection.client.inspect_volume(name)["Labels"] or {}
            users = connection.client.containers(all=True, filters={"volume": name})
            if marks.owned(labels) and {row["Id"] for row in users} <= {found["Id"]}:
                alone.append(name)
    return alone


def remove_images(connection: Connection, names: Iterable[str]) -> None:
    """Untag images; their layers go with the last tag, unless something stands on them."""
    for name in names:
        with _unless(404, _IN_USE):
            connection.client.remove_image(name)


def images_of(connection: Connection, identity: str) -> list[str]:
    """Tags of all images that this driver made for an instance."""
    found: list[str] = []
    for kind in (SNAPSHOTS, BASES):
        for image in connection.client.images(f"{kind}/{identity}"):
            found += image["RepoTags"] or []
    return found


def base_of(found: Json) -> list[str]:
    """Tag of the image that exists only for this container; none for most."""
    base = (found["Config"]["Labels"] or {}).get(marks.BASE)
    return [base] if base else []


@contextlib.contextmanager
def _unless(*codes: int) -> Iterator[None]:
    try:
        yield
    except APIError as error:
        if error.status_code not in codes:
            raise
