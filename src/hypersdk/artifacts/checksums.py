"""Digests of files: made, written beside them, and compared again.

Two kinds of files hold them, both as the usual programs read and write them:

``<file>.sha256`` (``.sha512``, ``.blake3``)
    one line, for one file.
``checksums.txt``
    a line for each file of a folder.

A line is ``<hex>  <name>`` for ``sha256sum -c`` and ``sha512sum -c``. BLAKE3 has digests as long as
SHA-256, so its lines say what they are: ``BLAKE3 (<name>) = <hex>``, for ``b3sum -c``. Names are
relative to the folder of the file that lists them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from blake3 import blake3

from hypersdk.artifacts.newfile import opened, write_file
from hypersdk.artifacts.streams import STEP, Readable, Told, Watched, Writable, ignore, pieces
from hypersdk.datapath.cancel import CancelToken
from hypersdk.model.errors import InvalidInput

#: Algorithm → length of its digests in hex.
ALGORITHMS = {"sha256": 64, "sha512": 128, "blake3": 64}
#: The list of a folder.
LIST_NAME = "checksums.txt"
#: Bytes; a line for each of ten thousand files has a tenth of it.
_MOST = 16 << 20

_PLAIN = re.compile(r"(?P<digest>[0-9A-Fa-f]{64}|[0-9A-Fa-f]{128}) [ *](?P<name>\S.{0,1023})")
_TAGGED = re.compile(
    r"(?P<algorithm>[A-Z0-9-]{4,10}) \((?P<name>.{1,1024})\) = (?P<digest>[0-9A-Fa-f]{64,128})"
)


class Digest(Protocol):
    """A digest in the making; as of hashlib."""

    def update(self, data: bytes, /) -> object: ...

    def hexdigest(self) -> str: ...

    def copy(self) -> Self: ...


@dataclass(frozen=True, slots=True)
class Checksum:
    """What a file should be."""

    #: Relative to the folder of the list.
    name: str
    #: One of `ALGORITHMS`.
    algorithm: str
    #: Lower case hex.
    digest: str

    @property
    def line(self) -> str:
        """As it stands in a list."""
        if self.algorithm == "blake3":
            return f"BLAKE3 ({self.name}) = {self.digest}"
        return f"{self.digest}  {self.name}"


def checked_algorithm(algorithm: str) -> str:
    """Raises InvalidInput for an algorithm that is not one of ours."""
    if algorithm not in ALGORITHMS:
        raise InvalidInput(
            f"'{algorithm}' is no kind of checksum", hint=f"Choose of {', '.join(ALGORITHMS)}."
        )
    return algorithm


def new_digest(algorithm: str = "sha256") -> Digest:
    """To be updated. Raises InvalidInput."""
    if checked_algorithm(algorithm) == "blake3":
        return blake3()
    return hashlib.new(algorithm, usedforsecurity=False)


def digest_of_stream(stream: Readable, algorithm: str = "sha256") -> str:
    """In hex, of all that is left."""
    digest = new_digest(algorithm)
    for data in pieces(stream, STEP):
        digest.update(data)
    return digest.hexdigest()


def digest_of(
    path: Path,
    algorithm: str = "sha256",
    *,
    progress: Told = ignore,
    pace: Told = ignore,
    cancel: CancelToken | None = None,
) -> str:
    """In hex, of a file. Raises NotFound, DataPathError, Interrupted."""
    with opened(path) as file:
        watched = Watched(file, progress=progress, pace=pace, cancel=cancel)
        return digest_of_stream(watched, algorithm)


class DigestingOutput:
    """Passes bytes on and digests them, so that no file is read again for its checksum."""

    def __init__(self, output: Writable, algorithm: str = "sha256") -> None:
        self._output = output
        self._digest = new_digest(algorithm)
        self._algorithm = algorithm
        #: Bytes so far.
        self.size = 0

    def write(self, data: bytes, /) -> int:
        self._output.write(data)
        self._digest.update(data)
        self.size += len(data)
        return len(data)

    def checksum(self, name: str) -> Checksum:
        """Of what was written so far."""
        return Checksum(checked_name(name), self._algorithm, self._digest.hexdigest())


def write_sidecar(path: Path, checksum: Checksum, *, overwrite: bool = True) -> Path:
    """``<file>.sha256`` beside a file; returns its path."""
    sidecar = path.with_name(f"{path.name}.{checksum.algorithm}")
    line = Checksum(checked_name(path.name), checksum.algorithm, checksum.digest).line
    write_file(sidecar, f"{line}\n".encode(), overwrite=overwrite, mode=0o644)
    return sidecar


def write_list(
    folder: Path, checksums: Iterable[Checksum], *, name: str = LIST_NAME, overwrite: bool = True
) -> Path:
    """``checksums.txt`` in a folder; returns its path. Raises InvalidInput for impossible names."""
    lines = [
        f"{Checksum(checked_name(each.name), each.algorithm, each.digest).line}\n"
        for each in checksums
    ]
    write_file(folder / name, "".join(lines).encode(), overwrite=overwrite, mode=0o644)
    return folder / name


def read_list(path: Path) -> tuple[Checksum, ...]:
    """What a list or a sidecar holds, also one that sha256sum, b3sum or the original wrote.

    Raises InvalidInput for lines that are no checksums and for names that lead elsewhere.
    """
    with opened(path) as file:
        content = b"".join(pieces(Watched(_Short(file, path))))
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not text in UTF-8") from error
    suffix = path.suffix.removeprefix(".")
    found: dict[str, Checksum] = {}
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip() or line.startswith("#"):
            continue
        checksum = _read_line(line.rstrip("\r"), suffix if suffix in ALGORITHMS else "")
        if checksum is None:
            raise InvalidInput(f"line {number} of {path} is no checksum: {line[:80]!r}")
        if found.setdefault(checksum.name, checksum) != checksum:
            raise InvalidInput(f"{path} has two checksums of {checksum.name}")
    return tuple(found.values())


def checked_name(name: str) -> str:
    """A name below the folder of the list. Raises InvalidInput for what leads elsewhere."""
    parts = name.split("/")
    if any(part in {"", ".", ".."} for part in parts) or re.search(r"[\x00-\x1f\\]", name):
        raise InvalidInput(f"a list of checksums cannot name {name[:120]!r}")
    return name


def by_name(checksums: Iterable[Checksum]) -> Mapping[str, Checksum]:
    """To look one up."""
    return {each.name: each for each in checksums}


def _read_line(line: str, algorithm: str) -> Checksum | None:
    if tagged := _TAGGED.fullmatch(line):
        named = tagged["algorithm"].lower().replace("-", "")
        if len(tagged["digest"]) != ALGORITHMS.get(named, 0):
            return None
        return Checksum(checked_name(tagged["name"]), named, tagged["digest"].lower())
    plain = _PLAIN.fullmatch(line)
    if plain is None:
        return None
    meant = algorithm or ("sha256" if len(plain["digest"]) == 64 else "sha512")
    if len(plain["digest"]) != ALGORITHMS[meant]:
        return None
    return Checksum(checked_name(plain["name"]), meant, plain["digest"].lower())


class _Short:
    """A stream that is refused when it goes on for longer than a list of checksums can be."""

    def __init__(self, stream: Readable, path: Path) -> None:
        self._stream = stream
        self._left = _MOST
        self._path = path

    def read(self, count: int, /) -> bytes:
        data = self._stream.read(count)
        self._left -= len(data)
        if self._left < 0:
            raise InvalidInput(f"{self._path} is too long for a list of checksums")
        return data
