from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Runner


def test_nothing_to_do(command: Runner, history: Path) -> None:
    result = command("repo", "gc", history)
    assert result.out == (
        "Condemned 0 packs (0 B), copied 0 B out of them.\n"
        "Deleted 0 packs (0 B) condemned before.\n"
    )


def test_condemn_wait_sweep(command: Runner, history: Path) -> None:
    command("repo", "prune", history, "--keep-last", "1")
    before = command("repo", "stats", history, "--json").json["stored"]
    planned = command("repo", "gc", history, "--dry-run", "--json").json
    assert planned["condemned_packs"] > 0
    condemned = command("repo", "gc", history).out.splitlines()
    assert condemned[-1] == "A run in 24 h can delete them."
    waiting = command("repo", "gc", history).out.splitlines()
    assert waiting[-1].startswith(
        f"Waiting: {planned['condemned_packs']} packs, for the grace time"
    )
    assert command("repo", "stats", history, "--json").json["stored"] >= before
    swept = command("repo", "gc", history, "--grace", "0h", "--json").json
    assert swept["swept_packs"] >= planned["condemned_packs"]
    assert command("repo", "stats", history, "--json").json["stored"] < before
    assert "all is well" in command("verify", history).out
