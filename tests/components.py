"""Real components that tests need, and what happens when one is missing."""

from __future__ import annotations

import os
import shutil

import pytest


def require(*programs: str) -> None:
    """Skip the test when a program is missing; under ``CI=true`` that is a failure."""
    missing = [program for program in programs if shutil.which(program) is None]
    if not missing:
        return
    reason = f"needs {', '.join(missing)}: run scripts/setup"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
