"""A small HTTP proxy that answers some requests with a failure of the server or the network."""

from __future__ import annotations

import http.client
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Answer:
    """What to answer instead of the server; status 0 cuts the connection without a word."""

    status: int
    code: str = ""
    #: Pass the request on first, so that only its answer is lost.
    after: bool = False
    #: Announce more bytes than are sent.
    short: bool = False

    @property
    def body(self) -> bytes:
        if not self.code:
            return b""
        return f"<Error><Code>{self.code}</Code><Message>as told</Message></Error>".encode()


class FaultProxy:
    """Passes requests to ``target``, after the planned answers are used up, one per request."""

    def __init__(self, target: str) -> None:
        self.target = urlsplit(target).netloc
        self.requests: list[str] = []
        self._plan: list[Answer] = []
        self._lock = threading.Lock()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def answer(self, *answers: Answer) -> None:
        """Plan the next answers."""
        with self._lock:
            self._plan.extend(answers)

    def next_answer(self, method: str) -> Answer | None:
        with self._lock:
            self.requests.append(method)
            return self._plan.pop(0) if self._plan else None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    proxy: FaultProxy
    daemon_threads = True


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = self.server.proxy.next_answer(self.command)
        self.close_connection = True
        if answer is None:
            self._reply(*self._forward(body))
            return
        if answer.after:
            self._forward(body)
        if answer.status == 0:
            return
        length = len(answer.body) + (100 if answer.short else 0)
        headers = [("Content-Length", str(length)), ("ETag", '"told"')]
        self._reply(answer.status, headers, answer.body)

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.server.proxy.target, timeout=10)
        try:
            connection.request(self.command, self.path, body, dict(self.headers))
            response = connection.getresponse()
            return response.status, response.getheaders(), response.read()
        finally:
            connection.close()

    def _reply(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in {"connection", "transfer-encoding"}:
                self.send_header(name, value)
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_PUT = do_HEAD = do_DELETE = _serve  # noqa: N815 - names http.server looks for

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet."""
