"""``hyperctl watch``"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from tests.app.daemons import until
from tests.cli.hyperctl.conftest import Control
from tests.client.worked import Worked

PROGRAM = "from hypersdk.cli.hyperctl.main import main; main()"


def slow(work: Control, worked: Worked, name: str) -> str:
    """An export that takes more than a minute."""
    file = worked.folder / f"{name}.json"
    request = {
        "hypervisor": "lab",
        "instance": "big",
        "output": str(worked.folder / name),
        "bandwidth": 256 << 10,
    }
    file.write_text(json.dumps({"kind": "export", "request": request, "name": name}))
    (id,) = work("submit", "-file", file, "-json").json["job_ids"]
    return str(id)


def test_jobs_to_their_end(work: Control, worked: Worked) -> None:
    good = work("submit", "-vm", "web", "-output", worked.folder / "watched", "-json").json
    bad = work("submit", "-vm", "nobody", "-output", worked.folder / "watched-2", "-json").json
    (one,), (two,) = good["job_ids"], bad["job_ids"]
    result = work("watch", one, two, expect=1)
    assert result.out == f"{one} completed\n{two} failed\n"
    assert f"{two}: no instance 'nobody' on " in result.err
    document = work("watch", one, "-json").json
    assert [job["state"] for job in document["jobs"]] == ["completed"]


def test_many_that_ended(control: Control, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("many") / "jobs.json"
    job = {"kind": "inventory", "request": {"hypervisor": "lab"}, "dedup": ""}
    file.write_text(json.dumps([job] * 12))
    ids = control("submit", "-file", file, "-json").json["job_ids"]
    control("cancel", *ids)
    result = control("watch", *ids, expect=130)
    assert result.out.splitlines() == [f"{id} cancelled" for id in ids]


def test_all_that_run(work: Control, worked: Worked) -> None:
    id = slow(work, worked, "running")
    until(lambda: work("query", "-id", id, "-json").json["jobs"][0]["state"] == "running")
    words = [sys.executable, "-c", PROGRAM, "-daemon", worked.url, "watch"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as watching:
        assert watching.stderr is not None
        assert watching.stderr.readline().startswith(f"{id} ")
        watching.send_signal(signal.SIGINT)
        out, err = watching.communicate(timeout=60)
    assert watching.returncode == 130
    assert out == ""
    assert err.endswith(
        f"The jobs go on. Follow them again with: hyperctl watch {id}\nhyperctl: interrupted\n"
    )
    assert work("query", "-id", id, "-json").json["jobs"][0]["state"] == "running"
    work("cancel", id)
    work("watch", id, expect=130)


def test_bars_on_a_terminal(work: Control, worked: Worked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "TERM", "xterm-256color")
    folder = worked.folder / "bars"
    (id,) = work("submit", "-vm", "big", "-output", folder, "-json").json["job_ids"]
    result = work("watch", id, tty=True)
    assert "export of big" in result.err
    assert "completed" in result.err


def test_nothing_to_watch(control: Control) -> None:
    states = "scheduled,pending,paused"
    active = control("query", "-all", "-status", states, "-json").json["jobs"]
    if active:
        control("cancel", *[job["id"] for job in active])
    assert control("watch").err == "No job is running or waiting.\n"
    assert control("watch", "-json").json == {"jobs": []}
