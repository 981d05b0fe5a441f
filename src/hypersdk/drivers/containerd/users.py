"""Whom an image wants its program to run as. Names are looked up in the image's own files, which
are read out of its layers: nothing is mounted for it.
"""

from __future__ import annotations

import io
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hypersdk.drivers.containerd.api.types.descriptor_pb2 import Descriptor
from hypersdk.drivers.containerd.content import Content
from hypersdk.model.errors import InvalidInput

_PASSWD, _GROUP = "etc/passwd", "etc/group"
#: Files longer than this are no lists of users.
_FILE_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class User:
    """Numbers, as the kernel knows them."""

    uid: int = 0
    gid: int = 0
    groups: tuple[int, ...] = ()


def user_of(wanted: str, content: Content, layers: Sequence[Descriptor]) -> User:
    """``wanted`` as images say it: ``""``, ``1000``, ``1000:1000``, ``web``, ``web:www``.

    Raises InvalidInput for a name that the image does not have.
    """
    if not wanted:
        return User()
    name, _, group = wanted.partition(":")
    if name.isdigit() and group.isdigit():
        return User(int(name), int(group))
    files = _files(content, layers)
    uid, gid = _account(files.get(_PASSWD, ""), name)
    if group:
        gid = int(group) if group.isdigit() else _group(files.get(_GROUP, ""), group)
        return User(uid, gid)
    return User(uid, gid, _memberships(files.get(_GROUP, ""), name))


def _account(passwd: str, name: str) -> tuple[int, int]:
    for fields in _lines(passwd):
        if len(fields) > 3 and name in {fields[0], fields[2]}:
            return int(fields[2]), int(fields[3])
    if name.isdigit():
        return int(name), 0
    raise InvalidInput(
        f"the image wants to run as '{name}', whom its /etc/passwd does not know",
        hint="Make the image with a numeric user.",
    )


def _group(groups: str, name: str) -> int:
    for fields in _lines(groups):
        if len(fields) > 2 and fields[0] == name:
            return int(fields[2])
    raise InvalidInput(
        f"the image wants to run in the group '{name}', which its /etc/group does not know",
        hint="Make the image with a numeric group.",
    )


def _memberships(groups: str, name: str) -> tuple[int, ...]:
    return tuple(
        int(fields[2])
        for fields in _lines(groups)
        if len(fields) > 3 and name in fields[3].split(",")
    )


def _lines(text: str) -> Iterator[list[str]]:
    return (line.split(":") for line in text.splitlines() if line and not line.startswith("#"))


def _files(content: Content, layers: Sequence[Descriptor]) -> dict[str, str]:
    """The topmost of each file."""
    found: dict[str, str] = {}
    hidden: set[str] = set()
    for layer in reversed(layers):
        if {_PASSWD, _GROUP} <= found.keys() | hidden:
            break
        whiteouts = set()
        try:
            with tarfile.open(fileobj=_Blob(content.pieces(layer.digest)), mode="r|*") as archive:
                for member in archive:
                    name = member.name.removeprefix("./").strip("/")
                    folder, _, last = name.rpartition("/")
                    if last.startswith(".wh."):
                        whiteouts.add(f"{folder}/{last.removeprefix('.wh.')}")
                    wanted = name in {_PASSWD, _GROUP} and name not in found.keys() | hidden
                    stream = archive.extractfile(member) if wanted and member.isreg() else None
                    if stream is not None:
                        found[name] = stream.read(_FILE_MAX).decode(errors="replace")
        except (tarfile.TarError, EOFError, zlib.error) as error:
            raise InvalidInput(
                f"the layer {layer.digest} cannot be read for the image's user: {error}",
                hint="Make the image with a numeric user.",
            ) from error
        hidden |= whiteouts
    return found


class _Blob(io.RawIOBase):
    """A stream of pieces as tarfile reads it."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        found = [self._rest]
        have = len(self._rest)
        while size < 0 or have < size:
            piece = next(self._pieces, b"")
            if not piece:
                break
            found.append(piece)
            have += len(piece)
        whole = b"".join(found)
        size = have if size < 0 else size
        self._rest = whole[size:]
        return whole[:size]
