from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from hypersdk.cli.terminal import Terminal
from hypersdk.cli.vmsnap.locks import lock_folder, locked
from hypersdk.cli.vmsnap.main import run
from tests.cli.conftest import Result, Stream
from tests.cli.vmsnap.conftest import Domains, Snap
from tests.components import require, require_root

VMSNAP = Path(sys.executable).with_name("vmsnap")


def vmsnap(*words: str) -> Result:
    out, err = Stream(), Stream()
    status = run(list(words), Terminal(Stream(), out, err, dict(os.environ)))
    return Result(status, out.getvalue(), err.getvalue())


@pytest.mark.parametrize(
    "words",
    [
        ("--status", "--backup"),
        ("--backup", "--scrub"),
        ("--status", "--scrub", "--backup"),
        ("--restore", "web", "--verify"),
        ("--backup=true", "--status=true"),
    ],
)
def test_too_many_commands(words: tuple[str, ...]) -> None:
    result = vmsnap(*words)
    assert result.status == 7
    assert "exclude each other" in result.err


@pytest.mark.parametrize(
    ("words", "near"),
    [
        (("--group-by", "month"), "--groupBy"),
        (("--domain", "web"), "--domains"),
        (("--scrubtype=both",), "--scrubType"),
    ],
)
def test_an_unknown_option_names_the_nearest(words: tuple[str, ...], near: str) -> None:
    result = vmsnap(*words)
    assert result.status == 3
    assert f"Did you mean '{near}'?" in result.err
    assert "See: vmsnap --help" in result.err


def test_a_word_too_many() -> None:
    assert vmsnap("--backup", "web").status == 3


@pytest.mark.parametrize(
    "spelled", [("--connect", "test:///default"), ("--connect=test:///default",)]
)
def test_both_ways_to_give_a_value(spelled: tuple[str, ...]) -> None:
    result = vmsnap("--domains=nowhere", *spelled)
    assert result.status == 1
    assert "there is no domain 'nowhere' on libvirt+test:///default" in result.err


def test_flags_with_values_as_scripts_have_them() -> None:
    words = ("--connect", "test:///default", "--domains", "x")
    flags = ("--backup=false", "--status=true", "--json=true", "--machine=TRUE", "--prune=false")
    assert vmsnap(*words, *flags).out == "{}\n"
    assert vmsnap(*words, *flags).status == 1
    assert vmsnap(*words, "--json=maybe").status == 3


def test_errors_as_documents() -> None:
    result = vmsnap("--scrub", "--domains", "x", "--json", "--machine")
    assert result.out.count("\n") == 1
    assert json.loads(result.out)["error"]["exit_code"] == 8
    result = vmsnap("--backup", "--no-such", "--yaml")
    assert yaml.safe_load(result.out)["error"]["exit_code"] == 3
    # A status is a mapping of domains: an error has no place there.
    assert json.loads(vmsnap("--no-such", "--json", "--machine").out) == {}


def test_missing_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = vmsnap("--domains=test", "--status")
    assert result.status == 4
    assert "qemu-img" in result.err
    assert "qemu-utils" in result.err
    result = vmsnap("--backup", "--domains=test", "--output=/x")
    assert result.status == 4
    assert "qemu-img, qemu-nbd" in result.err


def test_missing_libvirt(tmp_path: Path) -> None:
    (tmp_path / "libvirt.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'libvirt'\", name='libvirt')"
    )
    done = subprocess.run(
        [VMSNAP, "--status"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4
    assert "libvirt" in done.stderr
    assert "pip install 'hypersdk[libvirt]'" in done.stderr


def test_no_connection(tmp_path: Path) -> None:
    uri = f"qemu+unix:///system?socket={tmp_path}/none"
    result = vmsnap("--connect", uri)
    assert result.status == 3
    assert "cannot connect" in result.err


def test_a_disk_without_permission(snap: Snap, domains: Domains) -> None:
    require_root()
    require("setpriv")
    domain = domains("alpine-perms", running=False)
    os.chown(domain.image, 12345, 12345)
    domain.image.chmod(0o600)
    # Root that has to obey permissions, as in a service that was hardened.
    done = subprocess.run(
        [
            *("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all"),
            *(VMSNAP, "--connect", snap.uri, "--backup", "--domains=alpine-perms"),
            *("--output", snap.output),
        ],
        env=snap.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "Permission denied" in done.stderr
    assert "alpine-perms.img" in done.stderr
    assert "change its permissions" in done.stderr


def test_interrupted(snap: Snap, domains: Domains) -> None:
    domains("web")
    words = ("--backup", "--domains", "web", "--output", snap.output, "--wait", "60")
    with (
        locked(lock_folder(snap.environment), snap.uri, "web"),
        subprocess.Popen(
            [VMSNAP, "--connect", snap.uri, *words],
            env=snap.environment,
            stderr=subprocess.PIPE,
            text=True,
        ) as waiting,
    ):
        try:
            assert waiting.stderr is not None
            assert "Made repository" in waiting.stderr.readline()
            waiting.terminate()
            assert waiting.wait(timeout=20) == 130
            assert "interrupted" in waiting.stderr.read()
        finally:
            waiting.kill()


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert vmsnap("--help").status == 0
    assert "--groupBy [month|quarter|bi-annual|year]" in capsys.readouterr().out
    assert vmsnap("--version").status == 0
    assert capsys.readouterr().out.startswith("vmsnap ")


def test_a_reader_that_leaves() -> None:
    done = subprocess.run(
        f"'{VMSNAP}' --help | head -1", shell=True, capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("Usage: vmsnap")
    assert done.stderr == ""
