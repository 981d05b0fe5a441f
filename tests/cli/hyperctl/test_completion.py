"""``hyperctl completion``: shells complete real commands."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.hyperctl.conftest import Control


@pytest.mark.parametrize(
    ("shell", "said"),
    [("bash", "complete -o"), ("zsh", "#compdef hyperctl"), ("fish", "complete --no-files")],
)
def test_scripts(shell: str, said: str) -> None:
    text = Control()("completion", shell).out
    assert said in text
    assert "hyperctl" in text
    assert Control()("completion", "-shell", shell).out == text


def test_no_such_shell() -> None:
    result = Control()("completion", "tcsh", expect=2)
    assert result.err.startswith("hyperctl: 'tcsh' is no shell that is known: bash, zsh or fish\n")


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["hyperctl", "que"], ["query"]),
        (["hyperctl", "schedules", "en"], ["enable"]),
        (["hyperctl", "submit", "--par"], ["--parallel"]),
        (["hyperctl", "vm", "--op", "shut"], ["shutdown"]),
    ],
)
def test_bash_completes(tmp_path: Path, words: list[str], found: list[str]) -> None:
    bash = shutil.which("bash")
    assert bash, "every machine that tests run on has bash"
    program = tmp_path / "hyperctl"
    program.write_text(f"#!{sys.executable}\nfrom hypersdk.cli.hyperctl.main import main\nmain()\n")
    program.chmod(0o755)
    script = (
        'source <(hyperctl completion bash)\nCOMP_WORDS=("$@")\nCOMP_CWORD=$(($# - 1))\n'
        '_hyperctl_completion hyperctl\nprintf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        [bash, "-c", script, "bash", *words],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)},
    )
    assert done.stdout.split() == found, done.stderr
