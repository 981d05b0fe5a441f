"""Digests of the files of an OVF package, as its ``.mf`` file keeps them (DSP0243, section 6)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from hypersdk.model.errors import Damaged, InvalidInput

#: Algorithms of manifests, by our names, with the length of their digests in hex.
ALGORITHMS = {"sha1": 40, "sha256": 64, "sha512": 128}

_LINE = re.compile(r"(?P<algorithm>[A-Za-z0-9-]{3,10})\s?\((?P<name>[^\r\n]{1,1024})\)\s?=\s*"
                   r"(?P<digest>[0-9A-Fa-f]{40,128})\s*")  # fmt: skip
#: Bytes; a manifest of a thousand files has a tenth of it.
MOST = 1 << 20


def written(digests: Mapping[str, str], algorithm: str = "sha256") -> str:
    """A line for each file, in the order given."""
    return "".join(f"{algorithm.upper()}({name})= {hexes}\n" for name, hexes in digests.items())


def read(text: str) -> dict[str, tuple[str, str]]:
    """File → algorithm and digest. Raises InvalidInput for a line that is neither."""
    found: dict[str, tuple[str, str]] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        match = _LINE.fullmatch(line)
        algorithm = match["algorithm"].lower().replace("-", "") if match else ""
        if match is None or len(match["digest"]) != ALGORITHMS.get(algorithm, 0):
            raise InvalidInput(f"line {number} of the manifest is no digest: {line[:80]!r}")
        if match["name"] in found:
            raise InvalidInput(f"the manifest names {match['name']} twice")
        found[match["name"]] = (algorithm, match["digest"].lower())
    return found


def sha1_of(path: Path) -> str:
    """In hex. Older products write no other digests; it finds accidents, not attacks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.sha1(usedforsecurity=False)).hexdigest()


def of_bytes(algorithm: str, content: bytes) -> str:
    """In hex."""
    return hashlib.new(algorithm, content, usedforsecurity=False).hexdigest()


def compare(name: str, algorithm: str, expected: str, found: str) -> None:
    """Raise Damaged unless the digests are equal."""
    if expected.lower() != found.lower():
        raise Damaged(
            f"{name} is not what its manifest says: {algorithm} {found[:16]}…, "
            f"expected {expected[:16].lower()}…",
            hint="It was damaged on its way, or changed after it was made: fetch it again.",
        )
