"""What tests of whole repositories share."""

from __future__ import annotations

import pytest

from hypersdk.repository import packs, repack

#: Blobs in a pack under the fixture below.
SMALL_PACK = 6


@pytest.fixture
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packs of six blobs, so that a backup of a MiB has several; and buffers to match."""
    for module in (packs, repack):
        monkeypatch.setattr(module, "PACK_BLOBS", SMALL_PACK)
    monkeypatch.setattr(packs, "PACK_BUFFER", 2 << 20)
