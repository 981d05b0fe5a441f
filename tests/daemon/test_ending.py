"""SIGHUP and SIGTERM while jobs run, and who may not begin beside a daemon that runs."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.app.daemons import Daemon, daemon
from tests.daemon.scene import Site, backup, copying, ended, export, hyperctl, job, run_command

SLOW = "bandwidth: 128KiB/s"
HINT = "Stop that one, or give this one a database of its own: hypervisord --database sqlite:"


def refused(folder: Path, *words: object) -> str:
    """What a daemon says that must not begin."""
    config = folder / "hypervisord.yaml"
    return run_command(folder, "hypervisord", "--config", config, *words, expect=1).err


def test_settings_are_read_again_and_a_drained_job_goes_on_later(site: Site) -> None:
    site.instance("web", vda=4)
    site.instance("db", vda=4)
    out = site.folder / "out"
    file = site.folder / "hypervisord.yaml"
    slow = site.settings("drain_seconds: 0.5", budget=SLOW)
    with daemon(site.folder, settings=slow) as running:
        jobs = backup(running), export(running, out, "db", format="raw")
        copying(running, *jobs)

        file.write_text(slow + "drain_secnods: 2\n")
        running.signal(signal.SIGHUP)
        stays = running.wait_for("the settings stay as they are")
        assert "drain_secnods" in stays["error"]
        assert "drain_seconds" in stays["error"] + stays["hint"]

        file.write_text(slow.replace("{lab:", f"{{second: 'mock://{site.folder}/second', lab:"))
        running.signal(signal.SIGHUP)
        running.wait_for("read the settings again")
        listed = hyperctl(running, "hypervisor", "list", "--json").json["hypervisors"]
        assert {each["name"] for each in listed} == {"lab", "second"}
        assert [job(running, each)["state"] for each in jobs] == ["running", "running"]

        running.signal(signal.SIGTERM)
        assert running.ended() == 0
    assert site.points("web") == []
    assert not (out / "db-disk-0.raw").exists()
    with daemon(site.folder, settings=site.settings()) as running:
        found = [ended(running, each) for each in jobs]
        # It ran, was put back to wait, and ran again.
        assert [each["run"] for each in found] == [2, 2]
        told = running.get("/v1/events/past?limit=1000")["items"]
        assert [each["name"] for each in told].count("job.pending") == 2
    assert len(site.points("web")) == 1
    assert (out / "db-disk-0.raw").read_bytes() == site.content("db")


def port_of(running: Daemon) -> int:
    return int(running.place().rpartition(":")[2])


def test_a_second_daemon_is_refused_and_the_first_one_goes_on(site: Site) -> None:
    site.instance("web", vda=1)
    state = ("--state-dir", site.folder / "state")
    with daemon(site.folder, settings=site.settings(budget="bandwidth: 256KiB/s")) as running:
        id = backup(running)
        copying(running, id)
        port, pid = port_of(running), running.process.pid
        said = refused(site.folder, *state, "--listen", "127.0.0.1:0")
        assert "another hypervisord uses the database sqlite" in said
        assert f": process {pid}, on 127.0.0.1:0, since " in said
        assert HINT in said

        other = ("--state-dir", site.folder / "other", "--listen", f"127.0.0.1:{port}")
        said = refused(site.folder, *other)
        assert f"the port 127.0.0.1:{port} is taken by " in said
        assert str(pid) in said
        assert "choose another port: hypervisord --listen" in said
        ended(running, id)
    assert len(site.points("web")) == 1


def test_a_second_daemon_on_a_server(site: Site, postgres_url: str) -> None:
    words = ("--no-worker", "--database", postgres_url)
    with daemon(site.folder, *words, settings=site.settings()) as running:
        said = refused(site.folder, *words, "--listen", "127.0.0.1:0")
        assert "another hypervisord uses the database postgresql" in said
        assert HINT in said
        assert running.get("/v1/jobs")["items"] == []


def test_a_killed_daemon_leaves_nothing_in_the_way(site: Site) -> None:
    """Neither its port, nor its unix socket, nor its lock."""
    words = ("--no-worker", "--socket", str(site.folder / "socket"))
    with daemon(site.folder, *words, settings=site.settings()) as running:
        port = port_of(running)
        running.signal(signal.SIGKILL)
        running.ended()
    with daemon(site.folder, *words, "--listen", f"127.0.0.1:{port}") as running:
        said = hyperctl(running, "-daemon", f"unix:{site.folder}/socket", "status").out
        assert f"unix:{site.folder}/socket" in said
        assert port_of(running) == port
