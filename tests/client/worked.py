"""A daemon whose jobs really run: the process, its worker, a mock hypervisor and a repository."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hypersdk import MockHypervisor, Protect, connect, init_repository
from tests.app.daemons import Daemon, daemon

MIB = 1 << 20


@dataclass(frozen=True)
class Worked:
    """What a test speaks with."""

    daemon: Daemon
    folder: Path
    #: Known to the daemon as ``lab``: ``web`` and ``db`` with two MiB of data, ``big`` with 24.
    lab: MockHypervisor

    @property
    def url(self) -> str:
        return self.daemon.place("http:")

    @property
    def socket(self) -> str:
        return self.daemon.place("unix:")


@contextlib.contextmanager
def working(folder: Path) -> Iterator[Worked]:
    """Everything in ``folder``. The repository is ``main``."""
    lab = connect(f"mock://{folder}/lab")
    assert isinstance(lab, MockHypervisor)
    dice = random.Random(7)
    for name, size in {"web": 2, "db": 2, "big": 24}.items():
        lab.create_instance(name, {"vda": 2 * size * MIB})
        with lab.guest(name, "vda") as guest:
            guest.write(0, dice.randbytes(size * MIB))
    init_repository(folder / "repository", protect=Protect.none(), cache=folder / "cache").close()
    settings = (
        f"socket: {folder}/socket\n"
        f"hypervisors: {{lab: 'mock://{folder}/lab'}}\n"
        f"repositories: {{main: '{folder}/repository'}}\n"
        "webhooks_allow_private: true\n"
    )
    with daemon(folder, settings=settings) as running:
        running.worker()
        yield Worked(running, folder, lab)
