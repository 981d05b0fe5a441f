"""A site for the daemon to work on, and its commands as people type them."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sysconfig
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypersdk import MockHypervisor, Protect, RestorePoint, init_repository, open_repository
from tests.app.daemons import PATIENCE, Daemon, environment, until
from tests.components import missing

MIB = 1 << 20
#: Seconds between a wish and its end that users are promised.
PROMPT = 2.0


@dataclass(frozen=True)
class Said:
    """What a command printed."""

    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def installed(name: str) -> Path:
    """The command as it is installed."""
    path = Path(sysconfig.get_path("scripts")) / name
    if not path.exists():
        missing(f"needs the installed command {name}: pip install -e .")
    return path


def run_command(folder: Path, name: str, *words: object, expect: int = 0, **variables: str) -> Said:
    """A command as a process of its own, which must end with a status."""
    done = subprocess.run(
        [str(installed(name)), *map(str, words)],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=environment(folder, **variables),
        timeout=PATIENCE,
    )
    said = Said(done.stdout, done.stderr)
    assert done.returncode == expect, said
    return said


def hyperctl(running: Daemon, *words: object, expect: int = 0) -> Said:
    """``hyperctl WORDS`` against a daemon."""
    url = running.place()
    return run_command(running.folder, "hyperctl", *words, expect=expect, HYPERVISORD_URL=url)


def job_id(said: Said) -> str:
    """The one that a command submitted."""
    return said.out.partition("Job ID: ")[2].split()[0]


@dataclass(frozen=True)
class Site:
    """A mock hypervisor ``lab`` with disk files, and a repository ``main`` without a key."""

    folder: Path

    @classmethod
    def made(cls, folder: Path) -> Site:
        folder.mkdir(parents=True, exist_ok=True)
        init_repository(folder / "repository", protect=Protect.none()).close()
        return cls(folder)

    @property
    def lab(self) -> MockHypervisor:
        return MockHypervisor(self.folder / "lab")

    def settings(self, *more: str, budget: str = "") -> str:
        """Of a daemon; ``budget``: of the hypervisor (``bandwidth: 1MiB/s``)."""
        lines = [
            f"hypervisors: {{lab: {{url: 'mock://{self.folder}/lab', budget: {{{budget}}}}}}}",
            f"repositories: {{main: '{self.folder}/repository'}}",
        ]
        return "\n".join((*lines, *more, ""))

    def instance(self, name: str, **disks: int) -> None:
        """``disks``: MiB of data on each; an eighth more is empty."""
        self.lab.create_instance(
            name, {disk: (size + size // 8 + 1) * MIB for disk, size in disks.items()}
        )
        for at, (disk, size) in enumerate(disks.items()):
            with self.lab.guest(name, disk) as guest:
                guest.write(0, random.Random(f"{name}{at}").randbytes(size * MIB))

    def content(self, name: str, disk: str = "vda") -> bytes:
        """What a disk holds now."""
        disks = self.lab.inventory.instance(name).disks
        return Path(next(each.path for each in disks if each.name == disk)).read_bytes()

    def stored(self, part: str = "packs") -> int:
        """Bytes of all packs in the repository, or of another part of it."""
        found = (self.folder / "repository/.hypersdk" / part).rglob("*")
        return sum(each.stat().st_size for each in found if each.is_file())

    def points(self, instance: str) -> list[RestorePoint]:
        """In the repository, and what each holds is what the disks hold."""
        with open_repository(self.folder / "repository") as repository:
            points = list(repository.points(instance))
            for point in points:
                for disk in point.disks:
                    expected = self.content(instance, disk.name)
                    buffer = bytearray(disk.size)
                    with repository.source(point, disk) as source:
                        source.readinto(0, memoryview(buffer))
                    assert buffer == expected
        return points


def submit(running: Daemon, kind: str, **request: object) -> str:
    """Id of a new job."""
    answer = running.request("POST", "/v1/jobs", {"kind": kind, "request": request})
    assert answer.status == 201, answer
    return str(answer.json["items"][0]["id"])


def backup(running: Daemon, instance: str = "web", **request: object) -> str:
    return submit(
        running, "backup", hypervisor="lab", instance=instance, repository="main", **request
    )


def export(running: Daemon, output: Path, instance: str = "web", **request: object) -> str:
    return submit(
        running, "export", hypervisor="lab", instance=instance, output=str(output), **request
    )


def job(running: Daemon, id: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = running.get(f"/v1/jobs/{id}")
    return found


def copying(running: Daemon, *ids: str) -> None:
    """Once all of them copy data."""

    def copies(id: str) -> bool:
        found = job(running, id)
        assert found["state"] in ("scheduled", "pending", "running"), found
        return bool(found["state"] == "running" and found["progress"]["done"])

    until(lambda: all(map(copies, ids)), f"progress of {ids}")


def ended(
    running: Daemon, id: str, state: str = "completed", seconds: float = PATIENCE
) -> Mapping[str, Any]:
    """The job, once it ended as it should."""

    def there() -> Mapping[str, Any] | None:
        found = job(running, id)
        if found["state"] == state:
            return found
        assert found["state"] not in ("completed", "failed", "cancelled"), found
        return None

    found: Mapping[str, Any] = until(there, f"{state} job {id}", seconds)
    return found


def result(running: Daemon, id: str, seconds: float = PATIENCE) -> Mapping[str, Any]:
    """What a job gave, once it completed."""
    found: Mapping[str, Any] = ended(running, id, seconds=seconds)["result"]
    return found


def cancelled(running: Daemon, id: str) -> float:
    """Cancel a job; seconds from the answer to that until it is cancelled."""
    hyperctl(running, "cancel", id)
    began = time.monotonic()
    ended(running, id, "cancelled")
    return time.monotonic() - began


def files(folder: Path) -> list[str]:
    """All files below, hidden ones too."""
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())


def gone(pid: int) -> bool:
    """Whether a process has ended."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
