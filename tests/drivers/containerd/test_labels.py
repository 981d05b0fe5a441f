from __future__ import annotations

import pytest

from hypersdk.drivers.containerd import labels
from hypersdk.model.errors import InvalidInput
from hypersdk.model.specs import InstanceSpec


def test_tags_come_back_exactly() -> None:
    tags = {"a": "1", "empty": "", "sign": "=", "signs": "==x", "größe": "虚拟", "a/b": "c"}
    written = labels.of_spec(InstanceSpec(name="web", tags=tags))
    assert all(written.values())  # containerd drops labels without a value
    assert labels.tags(written) == tags


def test_what_is_too_long_is_named() -> None:
    with pytest.raises(InvalidInput, match="'long' is too long"):
        labels.of_spec(InstanceSpec(name="web", tags={"long": "ü" * 2100}))


def test_references_for_the_garbage_collector() -> None:
    assert labels.keeps_snapshot("overlayfs") == "containerd.io/gc.ref.snapshot.overlayfs"
    assert labels.keeps_snapshot("native", "x") == "containerd.io/gc.ref.snapshot.native/x"
    assert labels.keeps_content("config") == "containerd.io/gc.ref.content.config"
