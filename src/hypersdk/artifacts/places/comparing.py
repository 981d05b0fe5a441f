"""What was brought, read back: for places that cannot show by themselves that it arrived whole."""

from __future__ import annotations

import hashlib

from hypersdk.artifacts.places.ports import Place
from hypersdk.artifacts.streams import Told, ignore
from hypersdk.datapath.cancel import CancelToken, token_in_force
from hypersdk.model.errors import Damaged


def compare_placed(
    place: Place,
    name: str,
    sha256: str,
    *,
    progress: Told = ignore,
    pace: Told = ignore,
    cancel: CancelToken | None = None,
) -> None:
    """Read a file back and compare its digest. Raises Damaged, and what `Place.read` raises."""
    token = cancel or token_in_force()
    digest = hashlib.sha256()
    for data in place.read(name):
        token.check()
        pace(len(data))
        digest.update(data)
        progress(len(data))
    if digest.hexdigest() != sha256:
        raise Damaged(
            f"{place.url}/{name} is not what was sent: sha256 {digest.hexdigest()[:16]}…, "
            f"expected {sha256[:16]}…",
            hint="Delete it there and bring it again.",
        )
