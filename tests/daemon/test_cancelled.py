"""Cancelling what runs on a hypervisor with disk files."""

from __future__ import annotations

import pytest

from tests.app.daemons import daemon
from tests.daemon.scene import (
    PROMPT,
    Site,
    backup,
    cancelled,
    copying,
    export,
    files,
    hyperctl,
    job,
    submit,
)


@pytest.fixture
def _busy(site: Site) -> None:
    site.instance("web", vda=6, vdb=6)
    site.lab.lifecycle.start("web")


@pytest.mark.usefixtures("_busy")
def test_within_two_seconds_and_without_a_trace(site: Site) -> None:
    """A noisy machine gets three tries."""
    out = site.folder / "out"
    with daemon(site.folder, settings=site.settings(budget="bandwidth: 256KiB/s")) as running:

        def saved() -> str:
            return backup(running)

        def written() -> str:
            return export(running, out, format="qcow2", snapshot=True, snapshot_quiesce=False)

        for begin in (saved, written):
            took: list[float] = []
            while len(took) < 3 and not (took and min(took) <= PROMPT):
                id = begin()
                copying(running, id)
                assert site.lab.checkpoints.checkpoints("web") or site.lab.snapshots.snapshots(
                    "web"
                )
                took.append(cancelled(running, id, lambda id=id: hyperctl(running, "cancel", id)))
                assert site.lab.checkpoints.checkpoints("web") == []
                assert site.lab.snapshots.snapshots("web") == []
                assert files(out) == []
            assert min(took) <= PROMPT
        assert site.points("web") == []
        assert site.lab.inventory.instance("web").state.value == "running"


@pytest.mark.usefixtures("_busy")
def test_a_batch_takes_its_jobs_along(site: Site) -> None:
    site.instance("db", vda=6)
    with daemon(site.folder, settings=site.settings(budget="jobs: 1, bandwidth: 256KiB/s")) as it:
        batch = submit(
            it, "batch", operation="backup", hypervisor="lab", instances=["web", "db"],
            options={"repository": "main"},
        )  # fmt: skip
        children = []
        while len(children) < 2:
            children = [
                each["id"] for each in it.get("/v1/jobs")["items"] if each["parent"] == batch
            ]
        hyperctl(it, "cancel", batch)
        said = hyperctl(it, "watch", batch, *children, expect=130)
        assert said.out.count(" cancelled\n") == 3
        assert {job(it, each)["state"] for each in children} == {"cancelled"}
        assert site.lab.checkpoints.checkpoints("web") == []
