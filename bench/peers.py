"""The other programs, each called as its documentation recommends for disk images.

Every peer gets the same image from the same filesystem and writes to the same filesystem. restic
and borg encrypt, as we do; ``qemu-img`` and ``nbdcopy`` cannot.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from bench.contender import LEAST, LIMIT, PASSPHRASE, Contender, Trial
from bench.image import Image
from bench.measure import Command, first_line, python_module

#: Every peer's name; the limit program always runs.
NAMES = ("restic", "borg", "qemu-img", "nbdcopy")


def peers(work: Path, image: Image) -> list[Contender]:
    """All peers, installed or not."""
    return [
        limit(work / "limit", image),
        least_backup(work / "least-backup", image),
        restic(work / "restic", image),
        borg(work / "borg", image, sparse=False),
        borg(work / "borg-sparse", image, sparse=True),
        qemu_img(work / "qemu-img", image, unordered=False),
        qemu_img(work / "qemu-img-unordered", image, unordered=True),
        nbdcopy(work / "nbdcopy-nbdkit", image, "nbdkit"),
        nbdcopy(work / "nbdcopy-qemu-nbd", image, "qemu-nbd"),
    ]


def limit(folder: Path, image: Image) -> Contender:
    """The floor: compression alone under a first backup, hashing alone under a full read."""
    trials = {
        measure: Trial(python_module("bench.limit", mode, image.path))
        for measure, mode in (("first", "compress"), ("unchanged", "hash"))
    }
    return Contender(LIMIT, "", "zstd level 1, BLAKE3, all cores", folder, trials)


def least_backup(folder: Path, image: Image) -> Contender:
    """All the work on bytes that a first backup like ours is, and nothing else."""
    packs = folder / "packs"
    trial = Trial(python_module("bench.limit", "store", image.path, packs))
    version = "keyed BLAKE3, zstd level 1, AES-256-GCM, packs named by BLAKE3 and written"
    return Contender(LEAST, "", version, folder, {"first": trial}, stored=packs)


def restic(folder: Path, image: Image) -> Contender:
    """``--force`` reads a file again whose time stamps did not change."""
    repository, target = folder / "repository", folder / "restored"
    environment = {
        "RESTIC_REPOSITORY": str(repository),
        "RESTIC_PASSWORD": PASSPHRASE,
        "RESTIC_CACHE_DIR": str(folder / "cache"),
    }

    def call(*arguments: str | Path) -> Command:
        return Command(("restic", "--quiet", *map(str, arguments)), folder, environment)

    backup = Trial(call("backup", "--force", image.path))
    restore = call("restore", "latest", "--target", target)
    return Contender(
        "restic",
        "",
        first_line(("restic", "version")),
        folder,
        {
            "first": backup,
            "unchanged": backup,
            "restore": Trial(restore, target / image.path.relative_to("/")),
            "second": backup,
        },
        (call("init"),),
        repository,
    )


def borg(folder: Path, image: Image, *, sparse: bool) -> Contender:
    """Fixed chunks of 1 MiB and zstd level 1; without its files cache it reads all again.

    ``--sparse`` lets it skip holes on both ways.
    """
    repository, target = folder / "repository", folder / "restored"
    environment: Mapping[str, str] = {
        "BORG_REPO": str(repository),
        "BORG_PASSPHRASE": PASSPHRASE,
        "BORG_BASE_DIR": str(folder / "home"),
    }
    holes = ("--sparse",) if sparse else ()

    def call(*arguments: str | Path, cwd: Path = folder) -> Command:
        return Command(("borg", *map(str, arguments)), cwd, environment)

    def create(name: str) -> Trial:
        options = ("--chunker-params", "fixed,1048576", "--compression", "zstd,1")
        reread = ("--files-cache", "disabled")
        return Trial(call("create", *options, *reread, *holes, f"::{name}", image.path))

    return Contender(
        "borg",
        "--sparse" if sparse else "",
        first_line(("borg", "--version")),
        folder,
        {
            "first": create("first"),
            "unchanged": create("unchanged"),
            "restore": Trial(
                call("extract", *holes, "::first", cwd=target),
                target / image.path.relative_to("/"),
            ),
            "second": create("second"),
        },
        (call("init", "--encryption", "repokey-blake2"), Command(("mkdir", str(target)))),
        repository,
    )


def qemu_img(folder: Path, image: Image, *, unordered: bool) -> Contender:
    """A compressed qcow2. ``-W`` lets it write out of order, which its manual advises against
    for anything but a fresh target; it keeps both cores busy only then."""
    packed, target = folder / "disk.qcow2", folder / "restored.raw"
    convert = ("qemu-img", "convert", *(("-m", "16", "-W") if unordered else ()))
    options = ("-c", "-f", "raw", "-O", "qcow2", "-o", "compression_type=zstd")
    return Contender(
        "qemu-img",
        "-m 16 -W" if unordered else "",
        first_line(("qemu-img", "--version")),
        folder,
        {
            "first": Trial(Command((*convert, *options, str(image.path), str(packed)))),
            "restore": Trial(
                Command((*convert, "-f", "qcow2", "-O", "raw", str(packed), str(target))), target
            ),
        },
        stored=packed,
    )


def nbdcopy(folder: Path, image: Image, server: str) -> Contender:
    """Read everything and drop it: what a full read costs when nothing is done with the bytes.

    nbdcopy starts the bracketed server by itself and ends it.
    """
    serve = {
        "nbdkit": ("nbdkit", "-r", "file", str(image.path)),
        "qemu-nbd": ("qemu-nbd", "-r", "-f", "raw", "-e", "8", str(image.path)),
    }[server]
    version = first_line(("nbdcopy", "--version")) if first_line((server, "--version")) else ""
    trial = Trial(Command(("nbdcopy", "--", "[", *serve, "]", "null:")))
    return Contender("nbdcopy", server, version, folder, {"unchanged": trial})
