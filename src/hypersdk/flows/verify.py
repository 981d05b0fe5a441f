"""Check that a repository holds what was written to it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from hypersdk.datapath.cancel import CancelToken
from hypersdk.model.points import RestorePoint, VerifyLevel, VerifyReport
from hypersdk.model.progress import Progress, Reporter, silent
from hypersdk.repository.repository import Repository


def verify(
    repository: Repository,
    point: RestorePoint | Sequence[RestorePoint] | None = None,
    level: VerifyLevel = VerifyLevel.CONTENT,
    *,
    workers: int | None = None,
    reporter: Reporter = silent,
    cancel: CancelToken | None = None,
) -> VerifyReport:
    """Check the whole repository, or what one or some points need. Damage is reported, not raised.

    Chunks found damaged are noted in the repository, so that the next backup stores them again.
    Raises KeyRequired for ``CONTENT`` without a reader key, StoreError, Interrupted.
    """
    token = cancel or CancelToken()
    began = time.monotonic()

    def watch(done: int, total: int) -> None:
        token.check()
        seconds = time.monotonic() - began
        reporter(
            Progress(
                task=f"verify {level.value}",
                done=done,
                total=total,
                read=done,
                seconds=seconds,
                rate=done / seconds if seconds else 0.0,
                eta=(total - done) * seconds / done if done else None,
                finished=done >= total,
            )
        )

    points = [point] if isinstance(point, RestorePoint) else point
    with token.scope():
        return repository.verify(points, level, watch, workers or os.cpu_count() or 2)
