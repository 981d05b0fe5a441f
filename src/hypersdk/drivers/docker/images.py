"""What containers are made from."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import BinaryIO

from hypersdk.datapath.cancel import token_in_force
from hypersdk.drivers.docker import volumes
from hypersdk.drivers.docker.connection import Connection, Json, said
from hypersdk.drivers.docker.errors import native, refused
from hypersdk.model.containers import Image
from hypersdk.model.errors import InvalidInput

_PIECE = 1 << 20
#: Seconds that the engine may take over what it was sent.
_LOAD_SECONDS = 3600.0
_OURS = (f"{volumes.SNAPSHOTS}/", f"{volumes.BASES}/")
_UNTAGGED = "<none>:<none>"
#: How the engine begins the line about each image that it took in.
_LOADED = ("Loaded image: ", "Loaded image ID: ")


class DockerImages:
    """The ``images`` part."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def images(self) -> Sequence[Image]:
        """One for each tag. Snapshots and the like, which this driver makes, are left out."""
        with native(f"list the images of {self._connection.url}"):
            rows = self._connection.client.images()
        found = [
            Image(tag, row["Id"], row["Size"], datetime.fromtimestamp(row["Created"], UTC))
            for row in rows
            for tag in row["RepoTags"] or ()
            if tag != _UNTAGGED and not tag.startswith(_OURS)
        ]
        return sorted(found, key=lambda image: image.name)

    def load(self, archive: BinaryIO, name: str = "") -> Sequence[Image]:
        """OCI layouts are known to Docker 25 and later; earlier ones refuse them (InvalidInput)."""
        if name:
            return [self._import(archive, name)]
        before = {image.name for image in self.images()}
        doing = "load images from an archive"
        lines = self._sent("/images/load", archive, {"quiet": "1"}, doing)
        loaded = [image for line in lines if (image := _loaded(line))]
        if not loaded:
            raise InvalidInput(
                f"cannot {doing}: there are no images in it",
                hint="To make an image of a filesystem, give the name it shall have.",
            )
        found = [image for image in self.images() if image.name in loaded or image.id in loaded]
        return found or [image for image in self.images() if image.name not in before]

    def delete(self, name: str) -> None:
        with native(f"delete image '{name}'"):
            self._connection.client.remove_image(name)

    def _import(self, archive: BinaryIO, name: str) -> Image:
        tag = name if ":" in name.rpartition("/")[2] else f"{name}:latest"
        identity = import_filesystem(self._connection, archive, tag)
        with native(f"look at image '{tag}'"):
            row = self._connection.image(identity)
        created = datetime.fromisoformat(f"{row['Created'][:19]}+00:00")
        return Image(tag, row["Id"], row["Size"], created)

    def _sent(self, path: str, archive: BinaryIO, params: dict[str, str], doing: str) -> list[Json]:
        return send(self._connection, path, archive, params, doing)


def import_filesystem(connection: Connection, archive: BinaryIO, tag: str) -> str:
    """Make an image of a tar archive; its id. Raises InvalidInput for what is no archive."""
    repository, _, version = tag.rpartition(":")
    doing = f"make image '{tag}' of an archive"
    checked = _Checked(archive, doing)
    params = {"fromSrc": "-", "repo": repository, "tag": version}
    for line in send(connection, "/images/create", checked, params, doing):
        if str(line.get("status", "")).startswith("sha256:"):
            return str(line["status"])
    raise InvalidInput(f"cannot {doing}: the engine did not say what it made")


def send(
    connection: Connection,
    path: str,
    archive: BinaryIO | _Checked,
    params: dict[str, str],
    doing: str,
) -> list[Json]:
    """Post a stream; the lines of the answer. An error in one of them is raised."""
    with native(doing):
        answer = connection.client.post(
            connection.endpoint(path),
            params=params,
            data=_pieces(archive),
            headers={"Content-Type": "application/x-tar"},
            timeout=_LOAD_SECONDS,
        )
    if not answer.ok:
        # The engine calls it its own failure when an archive is none.
        status = 400 if answer.status_code == 500 else answer.status_code
        raise refused(status, said(answer.text), doing)
    lines = [json.loads(line) for line in answer.text.splitlines() if line.strip()]
    for line in lines:
        if "error" in line:
            raise refused(400, str(line["error"]), doing)
    return lines


class _Checked:
    """A tar archive whose first block was looked at: the engine makes an image of anything else,
    with nothing in it."""

    def __init__(self, archive: BinaryIO, doing: str) -> None:
        self._head = archive.read(tarfile.BLOCKSIZE)
        self._archive = archive
        try:
            tarfile.TarInfo.frombuf(self._head, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise InvalidInput(f"cannot {doing}: it is no tar archive ({error})") from error

    def read(self, size: int) -> bytes:
        head, self._head = self._head, b""
        return head or self._archive.read(size)


def _pieces(archive: BinaryIO | _Checked) -> Iterator[bytes]:
    while piece := archive.read(_PIECE):
        token_in_force().check()
        yield piece


def _loaded(line: Json) -> str:
    text = str(line.get("stream", "")).strip()
    return next((text.removeprefix(each) for each in _LOADED if text.startswith(each)), "")


def send_archive(connection: Connection, container: str, path: str, archive: BinaryIO) -> None:
    """Unpack a tar archive into a folder of a container, owners and all."""
    doing = f"unpack an archive into {path}"
    with native(doing):
        answer = connection.client.put(
            connection.endpoint(f"/containers/{container}/archive"),
            params={"path": path},
            data=_pieces(archive),
            headers={"Content-Type": "application/x-tar"},
            timeout=_LOAD_SECONDS,
        )
    if not answer.ok:
        raise refused(answer.status_code, said(answer.text), doing)
