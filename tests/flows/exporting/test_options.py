from __future__ import annotations

import pytest

from hypersdk.flows.exporting.options import (
    FORMATS,
    Bandwidth,
    BatchLimits,
    ExportOptions,
    ManifestOptions,
    SnapshotOptions,
)
from hypersdk.model.errors import InvalidInput


@pytest.mark.parametrize(
    "wrong",
    [
        {"format": "iso"},
        {"checksum": "md5"},
        {"parallel": 0},
        {"keep_local": False},
        {"stream_upload": True},
        {"power_off": True, "snapshot": SnapshotOptions()},
    ],
)
def test_what_makes_no_sense_is_refused_with_a_hint(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidInput) as caught:
        ExportOptions(**wrong)  # type: ignore[arg-type]
    assert caught.value.hint


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_is_one(format: str) -> None:
    assert ExportOptions(format=format).format == format


def test_a_manifest_may_be_asked_for_with_or_without_wishes() -> None:
    assert ExportOptions().manifest_options is None
    assert ExportOptions(manifest=True).manifest_options == ManifestOptions()
    wishes = ManifestOptions(target_format="qcow2")
    assert ExportOptions(manifest=wishes).manifest_options is wishes


def test_nothing_passes_at_no_rate() -> None:
    with pytest.raises(InvalidInput):
        Bandwidth(rate=0)


def test_limits_are_at_least_one() -> None:
    with pytest.raises(InvalidInput):
        BatchLimits(per_host=0)
