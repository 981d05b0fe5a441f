from __future__ import annotations

import json

import pytest
import yaml

from hypersdk.cli.terminal import Document
from hypersdk.cli.vmsnap.output import Form, Style, metric

DOCUMENT: Document = {"wéb: #1": {"checkpoints": ["virtnbdbackup.0"], "size": 1, "text": "yes"}}
RULE = "-" * 80


@pytest.mark.parametrize("form", [Form.JSON, Form.YAML])
@pytest.mark.parametrize("machine", [False, True])
def test_everything_can_be_read_back(form: Form, machine: bool) -> None:
    text = Style(form, machine=machine).dump(DOCUMENT)
    assert (json.loads(text) if form is Form.JSON else yaml.safe_load(text)) == DOCUMENT
    assert ("\n" in text) != machine


def test_frames() -> None:
    text = Style(Form.YAML, framed=True).dump({"web": {"bitmaps": []}})
    assert text == f"YAML:\n{RULE}\nweb:\n  bitmaps: []\n{RULE}"
    assert Style(Form.JSON, machine=True, framed=True).dump({"a": [1, 2]}) == '{"a":[1,2]}'


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1 kB"),
        (1337, "1.34 kB"),
        (10_500_000, "10.5 MB"),
        (67_108_864, "67.1 MB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (10 << 30, "10.7 GB"),
        (5 * 10**15, "5 PB"),
        (5 * 10**18, "5000 PB"),
    ],
)
def test_sizes(count: int, text: str) -> None:
    assert metric(count) == text
