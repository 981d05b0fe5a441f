"""A process that backs up, prunes and collects until it is killed. Started by ``test_kill``.

It is asked on standard input, a seed per line, and answers with the id of a new process that works
from that seed on: forks of a process that has loaded everything are cheap.
"""

from __future__ import annotations

import contextlib
import os
import random
import sys
from datetime import timedelta
from itertools import count
from pathlib import Path

import hypersdk
from hypersdk import BackupOptions, Key, RetentionPolicy
from hypersdk.model.errors import Conflict
from tests.repository.examples import CHUNK, IDENTITY, noise

#: Chunks of the disk.
CHUNKS = 40


def content_of(seed: int) -> bytes:
    """The disk at one moment: noise and holes; disks of neighbouring seeds have much in common."""
    dice = random.Random(seed // 4)
    blocks = [dice.choice([None, *range(30)]) for _ in range(CHUNKS)]
    dice = random.Random(seed)
    for _ in range(6):
        blocks[dice.randrange(CHUNKS)] = dice.choice([None, *range(30)])
    return b"".join(bytes(CHUNK) if b is None else noise(CHUNK, b) for b in blocks) + b"end"


def back_up(folder: Path, repository: hypersdk.Repository, seed: int, name: str = "web") -> None:
    """One backup of a real image; the point's tag says what must come back."""
    image = folder / f"{os.getpid()}.img"
    image.write_bytes(content_of(seed))
    options = BackupOptions(tags={"seed": str(seed)}, image_format="raw", workers=2)
    hypersdk.backup_image(repository, image, name, options=options)
    image.unlink()


def work(folder: Path, first: int) -> None:
    with hypersdk.open_repository(
        folder / "repository", key=Key.identity(os.environ["IDENTITY"]), cache=folder / "cache"
    ) as repository:
        for seed in count(first):
            back_up(folder, repository, seed)
            if seed % 3 == 2:
                hypersdk.prune(repository, RetentionPolicy(last=3), instance="web")
            with contextlib.suppress(Conflict):  # with the lease of one that was killed
                if seed % 3 == 2:
                    hypersdk.collect_garbage(repository, grace=timedelta(0))
                if seed % 7 == 6:
                    repository.recover()


def main() -> None:
    folder = Path(sys.argv[1])
    for line in sys.stdin:
        process = os.fork()
        if process == 0:
            try:
                work(folder, int(line))
            finally:
                os._exit(1)  # it never ends by itself
        print(process, flush=True)
        os.waitpid(process, 0)
        print("ended", flush=True)


if __name__ == "__main__":
    os.environ.setdefault("IDENTITY", IDENTITY)
    main()
