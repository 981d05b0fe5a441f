"""kill -9 in the middle of a backup and of an export."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from tests.app.daemons import daemon, until
from tests.daemon.scene import (
    MIB,
    Site,
    backup,
    copying,
    export,
    files,
    gone,
    hyperctl,
    job,
    result,
)

#: Seconds from the restart to the end of the jobs.
_SOON = 30.0
#: MiB to back up. Packs have 32, and are known to others ten seconds after the beginning.
_DATA = 96
#: MiB to export: it takes longer than that.
_MORE = 160


def stamp(file: Path) -> tuple[int, int]:
    """Another one when it was written again."""
    found = file.stat()
    return found.st_ino, found.st_mtime_ns


def test_jobs_go_on_and_nothing_is_done_twice(site: Site) -> None:
    """The worker is killed first, then all of the daemon; both in the middle of both jobs."""
    site.instance("web", vda=_DATA)
    site.instance("db", vda=1, vdb=_MORE)
    out = site.folder / "out"
    first = out / ".db.partial/db-disk-0.raw"
    with daemon(site.folder, settings=site.settings(budget="bandwidth: 12MiB/s")) as running:
        pid = running.worker()
        saved = backup(running)
        written = export(running, out, "db", format="raw", parallel=1)
        until(first.exists, "a complete disk")
        copying(running, saved, written)
        os.kill(pid, signal.SIGKILL)
        pid = running.worker(2)
        kept = stamp(first)
        until(lambda: site.stored("index"), "packs that others know")
        copying(running, saved, written)
        running.signal(signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
        running.ended()
    until(lambda: gone(pid), "the end of the worker")
    assert site.points("web") == []
    stored = site.stored()
    assert stored >= 32 * MIB

    began = time.monotonic()
    with daemon(site.folder, settings=site.settings()) as running:
        made = result(running, saved, _SOON)
        done = result(running, written, _SOON)
        assert time.monotonic() - began < _SOON
        assert [job(running, each)["run"] for each in (saved, written)] == [1, 1]
        (shown,) = hyperctl(running, "repo", "points", "main", "--json").json["points"]
        assert shown["id"] == made["point"]
    (point,) = site.points("web")
    assert point.id == made["point"]
    # What was stored is not stored again.
    assert made["stored"] <= (_DATA + 1) * MIB - stored
    assert site.stored() <= (_DATA + 1) * MIB
    for number, disk in enumerate(("vda", "vdb")):
        assert (out / f"db-disk-{number}.raw").read_bytes() == site.content("db", disk)
    assert stamp(out / "db-disk-0.raw") == kept, "a disk that was complete is not copied again"
    assert sorted(done["files"]) == sorted(str(out / name) for name in files(out))
