"""Who backs the guest up, and how each is called: always the command that a user types."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from bench.contender import OURS, PASSPHRASE, Contender, Trial
from bench.measure import Command, first_line

#: The instance, and its disk.
NAME, DISK = "guest", "vda"

PEER = "virtnbdbackup"
COMPRESSED = "-z"

#: Measures in which each contender takes part, in the order of a turn.
FULL, IDLE, SCATTERED, RESTORE = "kvm-full", "kvm-idle", "kvm-scattered", "kvm-restore"
TURN = (FULL, IDLE, SCATTERED, RESTORE)
LATENCY, PARALLEL = "kvm-latency", "kvm-parallel"
MEASURES = (*TURN, LATENCY, PARALLEL)
#: Stands in for a contender where a guest writes and nobody backs it up.
IDLE_GUEST = "no backup"

#: Chunk sizes other than the default that ours is called with, as the variants are named.
CHUNK_SIZES = ("64KiB", "1MiB")

_PROGRAM = str(Path(sys.executable).with_name("hypersdk"))
_VARIABLE = "BENCH_PASSPHRASE"


class Ours:
    """Our commands with a repository, a cache and a scratch folder of their own."""

    def __init__(self, folder: Path, scratch: Path, url: str) -> None:
        self.folder = folder
        self.repository = folder / "repository"
        self._url = url
        self._environment = {
            "HYPERSDK_CONFIG": str(folder / "config.toml"),
            "HYPERSDK_CACHE_DIR": str(folder / "cache"),
            "HYPERSDK_SCRATCH_DIR": str(scratch),
            "HYPERSDK_REPOSITORY": str(self.repository),
            "HYPERSDK_KEY": f"env:{_VARIABLE}",
            _VARIABLE: PASSPHRASE,
        }

    def prepare(self) -> tuple[Command, ...]:
        # An empty settings file: nothing of whoever runs this may count.
        settings = Command(("touch", self._environment["HYPERSDK_CONFIG"]))
        protection = ("--encrypt", "passphrase", "--passphrase", f"env:{_VARIABLE}")
        return (settings, self._call("repo", "init", self.repository, *protection))

    def backup(self, instance: str = NAME, *options: str) -> Command:
        return self._call("backup", "-H", self._url, instance, "--quiet", "--json", *options)

    def restore(self, target: Path, instance: str = NAME) -> Command:
        return self._call("restore", instance, "--to", target, "--format", "qcow2", "--quiet")

    def _call(self, *arguments: str | Path) -> Command:
        return Command((_PROGRAM, *map(str, arguments)), environment=self._environment)


def contenders(work: Path, scratch: Path, url: str) -> list[Contender]:
    """All, installed or not. ``url`` is ours; what follows ``libvirt+`` is libvirt's own."""
    return [
        *(hypersdk(work, scratch, url, chunk_size) for chunk_size in ("", *CHUNK_SIZES)),
        virtnbdbackup(work, scratch, url, compressed=True),
        virtnbdbackup(work, scratch, url, compressed=False),
    ]


def hypersdk(work: Path, scratch: Path, url: str, chunk_size: str) -> Contender:
    """Compressed and encrypted, as it always is; the whole point is one command."""
    ours = Ours(work / (f"{OURS}-{chunk_size}" if chunk_size else OURS), scratch, url)
    first = ours.backup(NAME, *(("--chunk-size", chunk_size) if chunk_size else ()))
    again = Trial(ours.backup())
    target = ours.folder / "restored.qcow2"
    return Contender(
        OURS,
        chunk_size,
        version("hypersdk"),
        ours.folder,
        {
            FULL: Trial(first),
            IDLE: again,
            SCATTERED: again,
            RESTORE: Trial(ours.restore(target), target),
        },
        ours.prepare(),
        ours.repository,
    )


def virtnbdbackup(work: Path, scratch: Path, url: str, *, compressed: bool) -> Contender:
    """``-z`` compresses with lz4. It neither encrypts nor deduplicates."""
    folder = work / (f"{PEER}-compressed" if compressed else PEER)
    output, target = folder / "backup", folder / "restored"
    # With "+unix" in it, it takes the daemon for a remote one and asks for a password.
    uri = url.removeprefix("libvirt+").replace("qemu+unix:", "qemu:")
    place = ("-U", uri, "-f", str(scratch / "peer"), "-n")
    options = (COMPRESSED,) if compressed else ()

    def backup(level: str) -> Trial:
        where = ("-o", str(output), "-S", str(scratch))
        return Trial(Command((PEER, *place, "-d", NAME, "-l", level, *where, *options)))

    restore = ("virtnbdrestore", *place, "-L", str(folder / "restore.log"))
    return Contender(
        PEER,
        COMPRESSED if compressed else "",
        _installed(first_line((PEER, "-V"))),
        folder,
        {
            FULL: backup("full"),
            IDLE: backup("inc"),
            SCATTERED: backup("inc"),
            RESTORE: Trial(
                Command((*restore, "-i", str(output), "-o", str(target))), target / "disk.qcow2"
            ),
        },
        (),
        output,
    )


def _installed(text: str) -> str:
    return f"{PEER} {text}" if text else ""


def installed(chosen: Iterable[Contender]) -> list[Contender]:
    return [contender for contender in chosen if contender.version]
