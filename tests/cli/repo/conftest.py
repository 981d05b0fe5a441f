from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import MIB, Runner


@pytest.fixture
def history(command: Runner, place: Path, image: Path) -> Path:
    """A repository with three points of ``web`` and one of ``db``; 1 MiB of web changes twice."""
    for step in range(3):
        with image.open("r+b") as file:
            file.seek(MIB)
            file.write(bytes([step]) * 1000)
        command("backup", "--repo", place, "--image", image, "--name", "web")
    command("backup", "--repo", place, "--image", image, "--name", "db")
    return place
