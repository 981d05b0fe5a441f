"""Real components that tests need, and what happens when one is missing."""

from __future__ import annotations

import os
import shutil
from typing import NoReturn

import pytest


def require(*programs: str) -> None:
    """Skip the test when a program is missing; under ``CI=true`` that is a failure."""
    absent = [program for program in programs if shutil.which(program) is None]
    if absent:
        missing(f"needs {', '.join(absent)}: run scripts/setup")


def require_root() -> None:
    """Skip the test when we are not root; under ``CI=true`` that is a failure."""
    if os.geteuid() != 0:
        missing("needs root")


def missing(reason: str) -> NoReturn:
    """Skip the test; fail it under ``CI=true``, where everything must be there."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)
