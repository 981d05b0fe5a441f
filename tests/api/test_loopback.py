"""Who is on this machine, on real connections; names and pages are tested in `test_security`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hypersdk.model.accounts import Role
from tests.api.port import served, served_on_a_socket
from tests.api.tiny import PASSED, Tiny, tiny


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Tiny]:
    with tiny(tmp_path) as one:
        yield one


def test_over_a_unix_socket_whatever_the_host_is_called(app: Tiny, tmp_path: Path) -> None:
    path = str(tmp_path / "api.sock")
    with (
        served_on_a_socket(app.app, path),
        httpx.Client(
            transport=httpx.HTTPTransport(uds=path), base_url="http://hypervisord"
        ) as client,
    ):
        assert client.get("/v1/things").status_code == PASSED
        secret = app.account("root", Role.ADMIN)
        assert client.get("/v1/things").status_code == 401
        headers = {"Authorization": f"Bearer {secret}"}
        assert client.get("/v1/things", headers=headers).json() == {"user": "root"}


def test_over_a_port_of_loopback(app: Tiny) -> None:
    with served(app.app) as port, httpx.Client() as client:
        url = f"http://127.0.0.1:{port}/v1/things"
        assert client.get(url).status_code == PASSED
        assert client.get(url, headers={"Host": "evil.example"}).status_code == 403
        origin = f"http://127.0.0.1:{port}"
        assert client.get(url, headers={"Origin": origin}).status_code == PASSED
        assert client.get(url, headers={"Origin": f"{origin}1"}).status_code == 403
