"""Exports that the daemon does: submitted, scheduled, followed, listed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from hypersdk.cli.hyperexport.exits import Exit
from tests.cli.hyperexport.conftest import Export
from tests.client.worked import Worked, working

ID = r"[0-9A-HJKMNP-TV-Z]{26}"


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worked]:
    """A daemon whose jobs run."""
    with working(tmp_path_factory.mktemp("worked")) as found:
        yield found


@pytest.fixture
def to_daemon(worked: Worked, monkeypatch: pytest.MonkeyPatch) -> Export:
    """``-H`` names a hypervisor as the daemon knows it."""
    monkeypatch.setenv("HYPERVISORD_URL", worked.url)
    return Export("lab")


def test_an_export_that_is_followed(to_daemon: Export, work: Path) -> None:
    result = to_daemon("-vm", "web", "-use-daemon", "-watch", "-output", "out", "-format", "ova")
    (id,) = re.findall(rf"(?m)^web: Job ID: ({ID})$", result.out)
    assert result.out.splitlines()[-1] == f"success: lab/web exported to {work}/out"
    assert f"{id} pending" in result.err or f"{id} running" in result.err
    assert (work / "out" / "web.ova").exists(), "the worker runs on this machine"
    checked = to_daemon.plain("verify", "out")
    assert "web.ova" in checked.out
    assert to_daemon.plain("-daemon-watch", id).out == f"success: lab/web exported to {work}/out\n"


def test_quiet_lines(to_daemon: Export, worked: Worked, work: Path) -> None:
    result = to_daemon("-vm", "db", "-use-daemon", "-quiet", "-output", "quiet")
    (id,) = re.findall(rf"\Ajob-id: ({ID})\n\Z", result.out)
    assert result.err == ""
    to_daemon.plain("-daemon-watch", id, "-quiet")
    listed = to_daemon.plain("-daemon-list", "completed", "-quiet").out.splitlines()
    assert f"{id}\tcompleted\tlab/db" in listed
    assert f"{id}\t" not in to_daemon.plain("-daemon-list", "failed", "-quiet").out
    table = to_daemon.plain("-daemon-list", "all").out.splitlines()
    assert table[0].startswith("Job ID  ")
    document = to_daemon.plain("--daemon-list", "all", "--json").json
    assert id in {job["id"] for job in document["jobs"]}


def test_as_json(to_daemon: Export) -> None:
    words = ("web", "--use-daemon", "--watch", "--output", "json", "--json")
    document = to_daemon(*words).json
    assert [job["state"] for job in document["jobs"]] == ["completed"]
    assert document["job_ids"] == [document["jobs"][0]["id"]]
    watched = to_daemon.plain("--daemon-watch", document["job_ids"][0], "--json").json
    assert watched["jobs"] == document["jobs"]


def test_several_at_once_of_which_one_fails(to_daemon: Export, work: Path) -> None:
    (work / "names").write_text("web\nnobody\n# a remark\ndb\n")
    words = ("-batch", "names", "-use-daemon", "-watch", "-output", "many")
    result = to_daemon(*words, expect=Exit.PARTIAL)
    assert len(re.findall(rf"(?m)^success: lab/(web|db) exported to {work}/many", result.out)) == 2
    assert "1 of 3 exports failed\n  lab/nobody: no instance 'nobody'" in result.err


def test_one_that_fails(to_daemon: Export) -> None:
    result = to_daemon("nobody", "--use-daemon", "--watch", expect=Exit.FAILED)
    assert "no instance 'nobody' on mock://" in result.err
    assert "There are: " in result.err


def test_options_reach_the_job(to_daemon: Export, work: Path) -> None:
    to_daemon(
        *("web", "--use-daemon", "--watch", "--output", "all", "--format", "qcow2"),
        *("--checksum", "blake3", "--manifest", "--bandwidth-limit", "100"),
    )
    names = {path.name for path in (work / "all").iterdir()}
    assert {"web-disk-0.qcow2", "web-disk-0.qcow2.blake3", "artifact-manifest.json"} <= names


def test_a_schedule(to_daemon: Export, worked: Worked) -> None:
    result = to_daemon("web", "--daemon-schedule", "nightly:0 2 * * *", "--output", "nightly")
    assert result.out == "schedule-created: nightly\n"
    assert re.match(r"It begins at \d{4}-\d\d-\d\d 02:00:00 UTC\.\n", result.err)
    (schedule,) = worked.daemon.get("/v1/schedules")["items"]
    assert (schedule["cron"], schedule["job"]["request"]["instance"]) == ("0 2 * * *", "web")
    for text in ("nightly", "nightly:", ":0 2 * * *"):
        assert "NAME:CRON" in to_daemon("web", "--daemon-schedule", text, expect=2).err
    again = to_daemon("web", "--daemon-schedule", "nightly:0 3 * * *", expect=1)
    assert "nightly" in again.err


def test_its_status(to_daemon: Export, worked: Worked) -> None:
    text = to_daemon.plain("-daemon-status").out
    assert re.match(rf"hypervisord \S+ at {worked.url}\n  scheduled: \d+\n", text)
    assert to_daemon.plain("--daemon-status", "--json").json["user"] == "local"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["web", "--watch"], "--watch follows a job of the daemon"),
        (["web", "--use-daemon", "--keyfile", "key", "--encrypt"], "--keyfile does not go with"),
        (["web", "--use-daemon", "--pipeline"], "--pipeline does not go with --use-daemon"),
    ],
)
def test_what_does_not_go_together(to_daemon: Export, words: list[str], said: str) -> None:
    assert said in to_daemon(*words, expect=2).err


def test_nobody_answers(to_daemon: Export) -> None:
    nowhere = ("--daemon-url", "http://127.0.0.1:9")
    result = to_daemon.plain("--daemon-status", *nowhere, expect=Exit.UNREACHABLE)
    assert "no daemon answers at http://127.0.0.1:9" in result.err


def test_the_daemon_does_not_know_the_hypervisor(worked: Worked, to_daemon: Export) -> None:
    result = to_daemon.plain("web", "--use-daemon", "--provider", "libvirt", expect=Exit.NOT_FOUND)
    assert "the daemon knows no hypervisor of libvirt" in result.err
