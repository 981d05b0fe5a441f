from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.kinds.killed import end_forge
from tests.app.kinds.lab import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    made = Lab(tmp_path)
    made.make()
    yield made
    made.connections.close()


@pytest.fixture(scope="session", autouse=True)
def forge() -> Iterator[None]:
    """Of the workers that are killed."""
    yield
    end_forge()
