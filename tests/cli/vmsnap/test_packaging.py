"""What is shipped beside the command: shell completion, service and timer."""

from __future__ import annotations

import configparser
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.shell_completion import get_completion_class

from hypersdk.cli.keys import Unlock
from hypersdk.cli.terminal import Terminal
from hypersdk.cli.vmsnap import options
from hypersdk.cli.vmsnap.main import vmsnap
from tests.cli.conftest import Stream
from tests.cli.vmsnap.conftest import Domains, Snap
from tests.components import require

ROOT = Path(__file__).parents[3]
VMSNAP = Path(sys.executable).with_name("vmsnap")
SYSTEMD = ROOT / "packaging" / "systemd"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_current(shell: str) -> None:
    kind = get_completion_class(shell)
    assert kind is not None
    source = kind(vmsnap, {}, "vmsnap", "_VMSNAP_COMPLETE").source_template % {
        "complete_func": "_vmsnap_completion",
        "complete_var": "_VMSNAP_COMPLETE",
        "prog_name": "vmsnap",
    }
    shipped = ROOT / "packaging" / "completion" / f"vmsnap.{shell}"
    assert shipped.read_text().strip() == source.strip(), "run scripts/completion"


def completions(*words: str) -> list[str]:
    done = subprocess.run(
        [VMSNAP],
        env={
            **os.environ,
            "_VMSNAP_COMPLETE": "bash_complete",
            "COMP_WORDS": shlex.join(["vmsnap", *words]),
            "COMP_CWORD": str(len(words)),
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return [line.partition(",")[2] for line in done.stdout.splitlines() if line]


def test_options_and_values_are_completed() -> None:
    assert completions("--group") == ["--groupBy"]
    assert completions("--groupBy", "bi") == ["bi-annual"]


def test_names_of_domains_are_completed(snap: Snap, domains: Domains) -> None:
    domains("web-1", running=False)
    domains("db", running=False)
    connect = ("--connect", snap.uri)
    assert completions(*connect, "--domains", "w") == ["web-1"]
    assert completions(*connect, "--domains", "db,w") == ["db,web-1"]
    assert completions("--connect", "nonsense:///", "--domains", "w") == []


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as its documentation says
    parser.read(SYSTEMD / name)
    return parser


def test_the_service_runs_a_command_that_is_understood() -> None:
    settings = dict(
        line.split("=", 1)
        for line in (SYSTEMD / "vmsnap.env").read_text().splitlines()
        if re.match(r"[A-Z_]+=", line)
    )
    words: list[str] = []
    for word in unit("vmsnap.service")["Service"]["ExecStart"].split()[1:]:
        if word.startswith("${"):  # one word; without braces, as many as there are
            words.append(settings[word[2:-1]])
        else:
            words += settings[word[1:]].split() if word.startswith("$") else [word]
    terminal = Terminal(Stream(), Stream(), Stream(), {})
    with vmsnap.make_context("vmsnap", words, obj=terminal) as context:
        chosen = options.backup_options(collected(context))
    assert chosen.prune
    assert chosen.selection.patterns == ("*",)


def collected(context: click.Context) -> dict[str, object]:
    """What the command gets; options for keys come as one."""
    return {**context.params, "unlock": Unlock()}


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    require("systemd-analyze")
    for name in ("vmsnap.service", "vmsnap.timer"):
        text = (SYSTEMD / name).read_text().replace("/usr/bin/vmsnap", "/bin/true")
        (tmp_path / name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", tmp_path / "vmsnap.timer", tmp_path / "vmsnap.service"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "vmsnap" not in done.stderr
    assert done.returncode == 0, done.stderr
