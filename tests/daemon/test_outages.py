"""The database goes away and comes back, or has no room, while jobs run."""

from __future__ import annotations

from tests.app.daemons import daemon, until
from tests.daemon.disks import fill, small_disk
from tests.daemon.scene import Site, backup, copying, ended, export, hyperctl, run_command
from tests.postgres import Server

#: Two jobs of 2 MiB take three seconds.
SLOW = "bandwidth: 1400KiB/s"


def test_a_lost_database_loses_nothing(site: Site, postgres_server: Server) -> None:
    site.instance("web", vda=2)
    site.instance("db", vda=2)
    out = site.folder / "out"
    words = ("--database", postgres_server.database())
    with daemon(site.folder, *words, settings=site.settings(budget=SLOW)) as running:
        hyperctl(running, "schedules", "create", "nightly", "0 2 * * *", "--vm", "web",
                 "-H", "lab", "--repo", "main")  # fmt: skip
        jobs = backup(running), export(running, out, "db", format="raw")
        copying(running, *jobs)
        postgres_server.stop("immediate")
        try:
            said = hyperctl(running, "query", expect=1).err
            assert "does not answer" in said or "was lost" in said
            assert "Is it up" in said or "Try again" in said
        finally:
            postgres_server.start()
        until(lambda: running.request("GET", "/v1/jobs").status == 200, "its return")
        for each in jobs:
            ended(running, each)
        assert hyperctl(running, "schedules", "list", "--json").json["schedules"]
        told = running.get("/v1/events/past?limit=1000")["items"]
        assert [each["name"] for each in told].count("job.completed") == 2
        assert running.process.poll() is None
    assert len(site.points("web")) == 1
    assert (out / "db-disk-0.raw").read_bytes() == site.content("db")


def test_a_database_without_room_loses_nothing(site: Site) -> None:
    """What was stored stays, what cannot be stored is refused, and the end of a job waits."""
    site.instance("web", vda=2)
    line = ("backup", "web", "-H", "lab", "--repo", "main")
    with small_disk(site.folder / "state", "8m") as small:
        with daemon(site.folder, settings=site.settings(budget=SLOW)) as running:
            id = backup(running)
            copying(running, id)
            fill(small / "filled")
            accepted: list[int] = []

            def refused() -> bool:
                """There is some room left in the database's own file."""
                body = {"kind": "inventory", "request": {}, "dedup": ""}
                accepted.append(running.request("POST", "/v1/jobs", body).status)
                return accepted[-1] != 201

            until(refused, "the end of its room")
            said = hyperctl(running, *line, "--full", expect=1).err
            assert "disk is full" in said
            assert "has its disk room?" in said
            assert id in hyperctl(running, "query").out, "what is stored can be read"
            until(lambda: site.points("web"), "the restore point")
            (small / "filled").unlink()
            ended(running, id)
            found = running.get("/v1/jobs?limit=1000")["items"]
            assert len(found) == 1 + accepted.count(201)
            for each in found:
                ended(running, each["id"])
            assert len(site.points("web")) == 1
            assert running.process.poll() is None

        fill(small / "filled")
        words = ("--state-dir", small / "other", "--listen", "127.0.0.1:0")
        said = run_command(site.folder, "hypervisord", *words, expect=1).err
        assert "disk is full" in said or "No space left" in said
        assert f"{small}/other" in said
        assert "\n  " in said, "what to do"
