"""The daemon of `tests.api`, for the tests of routes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.serving import CORE, Daemon, serving


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One that wants credentials."""
    with serving(tmp_path_factory.mktemp("guarded"), routes=CORE, open_loopback=False) as found:
        yield found
