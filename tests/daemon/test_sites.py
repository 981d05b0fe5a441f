"""A daemon that only serves, and workers of two sites on one PostgreSQL."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from hypersdk import MockHypervisor
from tests.app.daemons import Daemon, Process, daemon, program
from tests.daemon.scene import Site, copying, ended, hyperctl, job, submit

SITES = ("site-a", "site-b")


@contextmanager
def worker(folder: Path, database: str, site: str) -> Iterator[Process]:
    """One that takes jobs of a site only, and is called like it."""
    words = ("--database", database, "--queues", site, "--id", site)
    state = ("--state-dir", str(folder / "workers" / site))
    config = folder / "worker.yaml"
    config.write_text("")
    with program(folder, "worker", "--config", str(config), *words, *state) as running:
        yield running


def made(folder: Path, site: str) -> None:
    hypervisor = MockHypervisor(folder / site)
    for name in ("one", "two"):
        hypervisor.create_instance(name, {"vda": 4 << 20})
        with hypervisor.guest(name, "vda") as guest:
            guest.write(0, os.urandom(2 << 20))


def settings(site: Site, budget: str = "") -> str:
    known = ", ".join(
        f"{each}: {{url: 'mock://{site.folder}/{each}', queue: {each}, budget: {{{budget}}}}}"
        for each in SITES
    )
    return f"hypervisors: {{{known}}}\nrepositories: {{main: '{site.folder}/repository'}}\n"


def backup(running: Daemon, place: str, instance: str) -> str:
    return submit(running, "backup", hypervisor=place, instance=instance, repository="main")


def test_each_site_is_served_by_its_own_worker(site: Site, postgres_url: str) -> None:
    for each in SITES:
        made(site.folder, each)
    words = ("--no-worker", "--database", postgres_url)
    with ExitStack() as stack:
        slow = settings(site, "bandwidth: 2MiB/s")
        running = stack.enter_context(daemon(site.folder, *words, settings=slow))
        of_a = stack.enter_context(worker(site.folder, postgres_url, "site-a"))
        of_a.wait_for("worker runs")
        waits = backup(running, "site-b", "one")
        first = [backup(running, "site-a", each) for each in ("one", "two")]
        for id in first:
            assert ended(running, id)["worker"] == "site-a"
        # Nobody of its site was there meanwhile.
        assert job(running, waits)["state"] == "pending"

        of_b = stack.enter_context(worker(site.folder, postgres_url, "site-b"))
        of_b.wait_for("worker runs")
        assert ended(running, waits)["worker"] == "site-b"
        queues = hyperctl(running, "query", "--json").json["jobs"]
        assert {(each["queue"], each["worker"]) for each in queues} == {
            ("site-a", "site-a"), ("site-b", "site-b"),
        }  # fmt: skip

        # What a dead worker leaves waits for one of its site.
        taken = backup(running, "site-b", "two")
        copying(running, taken)
        of_b.signal(signal.SIGKILL)
        of_b.ended()
        ended(running, backup(running, "site-a", "one"))
        assert job(running, taken)["worker"] == "site-b"
        again = stack.enter_context(worker(site.folder, postgres_url, "site-b"))
        assert ended(running, taken)["run"] == 1
        points = hyperctl(running, "repo", "points", "main", "--json").json["points"]
        assert len(points) == 5
        for process in (of_a, again):
            process.signal(signal.SIGTERM)
            assert process.ended() == 0
