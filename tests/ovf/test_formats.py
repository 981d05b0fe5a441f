from __future__ import annotations

import pytest

from hypersdk.ovf.formats import URIS, format_of


@pytest.mark.parametrize("format", URIS)
def test_every_format_is_known_again(format: str) -> None:
    assert format_of(URIS[format]) == format


@pytest.mark.parametrize(
    ("uri", "format"),
    [
        ("http://www.vmware.com/specifications/vmdk.html#streamOptimized", "stream-vmdk"),
        ("http://www.vmware.com/specifications/vmdk.html", "vmdk"),
        ("http://www.gnome.org/~markmc/qcow-image-format.html#2", "qcow2"),
        ("", ""),
        ("http://example.com/other", ""),
    ],
)
def test_spellings_of_others(uri: str, format: str) -> None:
    assert format_of(uri) == format
