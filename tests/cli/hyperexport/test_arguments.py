"""Flags as users of the original wrote them."""

from __future__ import annotations

import pytest

from hypersdk.cli.hyperexport.arguments import plain
from hypersdk.cli.hyperexport.main import hyperexport


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        (["-vm", "web"], ["--vm", "web"]),
        (["--vm=web"], ["--vm=web"]),
        (["-format=ova"], ["--format=ova"]),
        (["-quiet"], ["--quiet"]),
        (["-verify=true"], ["--verify"]),
        (["-verify=false"], ["--no-verify"]),
        (["--keep-local=false"], ["--no-keep-local"]),
        (["--no-keep-local=false"], ["--keep-local"]),
        (["-dry-run=0"], []),
        (["-dry-run=1"], ["--dry-run"]),
        (["-verify=perhaps"], ["--verify=perhaps"]),
        (["-H", "mock:///lab"], ["-H", "mock:///lab"]),
        (["-Hmock:///lab"], ["-Hmock:///lab"]),
        (["-h"], ["-h"]),
        (["-"], ["-"]),
        (["--compress-level", "-1"], ["--compress-level", "-1"]),
        (["--", "-vm"], ["--", "-vm"]),
    ],
)
def test_a_line_is_read_as_it_always_was(typed: list[str], read: list[str]) -> None:
    assert plain(typed, hyperexport) == read
