"""What is in a folder that changes while one looks."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path


def paths_under(folder: Path) -> Iterator[Path]:
    """All files and folders below; those that go meanwhile are left out, where ``Path.rglob``
    raises FileNotFoundError until Python 3.13."""
    for parent, folders, files in os.walk(folder):
        yield from (Path(parent, name) for name in (*folders, *files))
