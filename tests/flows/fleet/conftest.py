from __future__ import annotations

from pathlib import Path

import pytest

from tests.flows.fleet.labs import Labs


@pytest.fixture
def labs(tmp_path: Path) -> Labs:
    return Labs(tmp_path / "labs")
