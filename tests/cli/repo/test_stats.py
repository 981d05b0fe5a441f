from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import MIB, Runner


def test_counts(command: Runner, history: Path) -> None:
    document = command("repo", "stats", history, "--json").json
    assert (document["instances"], document["points"]) == (2, 4)
    assert document["virtual"] == 64 * MIB
    assert 5 * MIB < document["stored"] < 6 * MIB
    out = command("repo", "stats", history).out
    assert "virtual:     64.0 MiB  what full copies would take\n" in out
    assert "encrypted:   no\n" in out
