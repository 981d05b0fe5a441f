"""HTTP over a unix socket, for the SDK.

The SDK's own keeps connections apart by the whole URL, so that hardly one is used twice, and lets
sockets lie about that could not connect.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection
from urllib3.connectionpool import HTTPConnectionPool

#: Prefix of URLs that the SDK uses for engines on unix sockets.
PREFIX = "http+docker://"
_HOST = "localhost"


class UnixAdapter(HTTPAdapter):
    """One pool of connections to one socket."""

    def __init__(self, path: str, connections: int, seconds: float) -> None:
        super().__init__()
        self._pool = _Pool(path, connections, seconds)

    def get_connection_with_tls_context(
        self,
        request: requests.PreparedRequest,  # noqa: ARG002 - of the library, as are those below
        verify: bool | str | None,  # noqa: ARG002
        proxies: Mapping[str, str] | None = None,  # noqa: ARG002
        cert: tuple[str, str] | str | None = None,  # noqa: ARG002
    ) -> HTTPConnectionPool:
        return self._pool

    def request_url(
        self,
        request: requests.PreparedRequest,
        proxies: Mapping[str, str] | None,  # noqa: ARG002
    ) -> str:
        return str(request.path_url)

    def close(self) -> None:
        super().close()
        self._pool.close()


class _Connection(HTTPConnection):
    def __init__(self, path: str, seconds: float) -> None:
        super().__init__(_HOST, timeout=seconds)
        self._path = path
        self._seconds = seconds

    def connect(self) -> None:
        made = socket.socket(socket.AF_UNIX)
        try:
            made.settimeout(self._seconds)
            made.connect(self._path)
        except OSError:
            made.close()
            raise
        self.sock = made


class _Pool(HTTPConnectionPool):
    def __init__(self, path: str, connections: int, seconds: float) -> None:
        super().__init__(_HOST, timeout=seconds, maxsize=connections)
        self._path = path
        self._seconds = seconds

    def _new_conn(self) -> _Connection:
        self.num_connections += 1
        return _Connection(self._path, self._seconds)


def engine_version(path: str, seconds: float) -> str:
    """The API that the engine speaks."""
    with requests.Session() as session:
        session.trust_env = False
        session.mount(PREFIX, UnixAdapter(path, 1, seconds))
        answer = session.get(f"{PREFIX}{_HOST}/version")
        answer.raise_for_status()
        return str(answer.json()["ApiVersion"])
