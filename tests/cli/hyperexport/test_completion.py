"""Completion is made of the options that there are, and shells take it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import click
import pytest

from hypersdk.cli.hyperexport.main import hyperexport
from tests.cli.hyperexport.conftest import Export
from tests.components import require

SPELLINGS = [
    spelling
    for parameter in hyperexport.params
    if isinstance(parameter, click.Option)
    for spelling in (*parameter.opts, *parameter.secondary_opts)
]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_option_is_in_it(export: Export, shell: str) -> None:
    script = export.plain("--completion", shell).out
    for spelling in SPELLINGS:
        name = spelling if shell != "fish" else f" {'-l ' if '--' in spelling else '-s '}"
        name = name if shell != "fish" else f"{name}{spelling.lstrip('-')} "
        assert name in script, spelling


def offered(script: Path, *words: str) -> list[str]:
    """What bash offers for the last word."""
    line = " ".join(f"'{word}'" for word in ("hyperexport", *words))
    code = f"""source {script}; COMP_WORDS=({line}); COMP_CWORD={len(words)}; _hyperexport
        printf '%s\\n' "${{COMPREPLY[@]}}" """
    done = subprocess.run(["bash", "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def test_bash_completes(export: Export, work: Path) -> None:
    require("bash")
    script = work / "completion"
    script.write_text(export.plain("-completion=bash").out)
    assert offered(script, "--snapshot-n") == ["--snapshot-name"]
    assert offered(script, "--format", "v") == ["vmdk", "vhdx", "vdi", "vhd"]
    assert offered(script, "--batch", "compl") == ["completion"]
    assert offered(script, "--repo", "") == []
    assert offered(script, "im") == ["import"]


def test_an_unknown_shell_is_refused(export: Export) -> None:
    result = export.plain("--completion", "bsh", expect=2)
    assert "Did you mean 'bash'?" in result.err
