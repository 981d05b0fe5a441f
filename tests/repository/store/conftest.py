"""A proxy that makes the S3-compatible server fail as told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.repository.store.faultproxy import FaultProxy


@pytest.fixture
def fault_proxy(
    s3_server: str, s3_location: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultProxy]:
    """A proxy before the server that fails as told; the environment leads to the proxy."""
    with FaultProxy(s3_server) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy
