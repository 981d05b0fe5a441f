"""What jobs leave behind that were cancelled or failed: nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.app.daemons import Daemon, daemon, until
from tests.daemon.disks import small_disk
from tests.daemon.scene import (
    PROMPT,
    Site,
    backup,
    cancelled,
    copying,
    ended,
    export,
    files,
    hyperctl,
    submit,
)

Scene = tuple[Site, Daemon]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """``web`` runs, with two disks; data comes slowly."""
    site = Site.made(tmp_path_factory.mktemp("site"))
    site.instance("web", vda=6, vdb=6)
    site.instance("db", vda=6)
    site.lab.lifecycle.start("web")
    with daemon(site.folder, settings=site.settings(budget="bandwidth: 512KiB/s")) as running:
        yield site, running


def traces(site: Site) -> list[str]:
    """Checkpoints, snapshots, restore points, files."""
    lab = site.lab
    return [
        *(each.name for name in ("web", "db") for each in lab.checkpoints.checkpoints(name)),
        *(each.name for name in ("web", "db") for each in lab.snapshots.snapshots(name)),
        *(point.id for name in ("web", "db") for point in site.points(name)),
        *files(site.folder / "out"),
    ]


def a_backup(site: Site, running: Daemon) -> str:
    return backup(running)


def an_export(site: Site, running: Daemon) -> str:
    out = site.folder / "out"
    return export(running, out, format="qcow2", snapshot=True, snapshot_quiesce=False)


@pytest.mark.parametrize("begin", [a_backup, an_export])
def test_cancelled_within_two_seconds(scene: Scene, begin: Callable[[Site, Daemon], str]) -> None:
    """A noisy machine gets three tries."""
    site, running = scene
    took: list[float] = []
    while len(took) < 3 and not (took and min(took) <= PROMPT):
        id = begin(site, running)
        copying(running, id)
        assert traces(site)
        took.append(cancelled(running, id))
        assert traces(site) == []
    assert min(took) <= PROMPT
    assert site.lab.inventory.instance("web").state.value == "running"


def test_a_batch_takes_its_jobs_along(scene: Scene) -> None:
    site, running = scene
    batch = submit(
        running, "batch", operation="backup", hypervisor="lab", instances=["web", "db"],
        options={"repository": "main"},
    )  # fmt: skip

    def children() -> list[str]:
        found = running.get("/v1/jobs")["items"]
        return [each["id"] for each in found if each["parent"] == batch]

    until(lambda: len(children()) == 2, "its jobs")
    copying(running, *children())
    hyperctl(running, "cancel", batch)
    said = hyperctl(running, "watch", batch, *children(), expect=130)
    assert said.out.count(" cancelled\n") == 3
    assert traces(site) == []


def test_an_export_to_a_full_disk(scene: Scene) -> None:
    site, running = scene
    with small_disk(site.folder / "small", "128k") as small:
        failed = ended(running, export(running, small / "db", "db", format="raw"), "failed")
        assert "No space left" in failed["error"]["message"]
        assert failed["error"]["hint"]
        assert files(small) == []
    assert traces(site) == []
