"""docs/demo.svg, which the README shows, is of this demonstration."""

from __future__ import annotations

import html
import os
import re
from pathlib import Path

from hypersdk.cli.main import run
from hypersdk.cli.terminal import Terminal
from tests.cli.conftest import Stream

PICTURE = Path(__file__).parents[2] / "docs" / "demo.svg"


def test_the_picture_is_not_stale(tmp_path: Path) -> None:
    svg = re.sub(r"<[^>]+>", "", PICTURE.read_text())
    text = html.unescape(svg).replace("\N{NO-BREAK SPACE}", " ")
    out = Stream()
    terminal = Terminal(Stream(), out, Stream(), dict(os.environ))
    small = ["--size", "256MiB", "--data", "16MiB", "--dir", str(tmp_path / "demo")]
    assert run(["demo", *small, "--quiet"], terminal) == 0
    headings = [line for line in out.getvalue().splitlines() if re.match(r"[2-9]\. ", line)]
    assert len(headings) == 7
    assert [line for line in headings if line not in text] == [], "run scripts/picture"
    assert "restored disk is identical" in text
