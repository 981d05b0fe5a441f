"""A daemon for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.api.serving import CORE, Daemon, serving


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Open to this machine, until a test makes an account."""
    with serving(tmp_path_factory.mktemp("daemon"), routes=CORE) as found:
        yield found


@pytest.fixture
def client(daemon: Daemon) -> Iterator[httpx.Client]:
    with daemon.client() as found:
        yield found
