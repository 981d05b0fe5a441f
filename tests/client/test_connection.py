"""What a client makes of answers, of silence, and of what it is given."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from hypersdk.client.connection import Connection
from hypersdk.model.errors import DaemonRefused, DaemonUnreachable, InvalidInput

STATUS = {
    "version": "1",
    "started": "2026-01-01T00:00:00Z",
    "uptime": 1.0,
    "jobs": {"running": 2},
    "user": "ann",
    "role": "admin",
    "time": "2026-01-01T00:00:01Z",
    "later": "a field of a later version",
}


class Daemon:
    """Answers each request with what was put into it, and keeps what it was asked."""

    def __init__(self, server: HTTPServer) -> None:
        self.server = server
        self.status, self.body, self.headers = 200, json.dumps(STATUS), "application/json"
        self.location = ""
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Daemon]:
    for name in ("HYPERVISORD_URL", "HYPERCTL_TOKEN"):
        monkeypatch.delenv(name, raising=False)

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            asked = self.rfile.read(length)
            held.asked.append((self.command, self.path, dict(self.headers), asked))
            self.send_response(held.status)
            self.send_header("Content-Type", held.headers)
            if held.location:
                self.send_header("Location", held.location)
            body = held.body.encode()
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = answer  # noqa: N815 - of the library

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    held = Daemon(server)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield held
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_answer_becomes_a_record(daemon: Daemon) -> None:
    connection = Connection(daemon.url)
    status = connection.call("get_status")
    connection.close()
    assert (status.version, status.jobs) == ("1", {"running": 2})
    assert daemon.asked[0][:2] == ("GET", "/v1/status")


def test_names_are_quoted(daemon: Daemon) -> None:
    connection = Connection(daemon.url)
    daemon.status, daemon.body = 404, "{}"
    with pytest.raises(DaemonRefused):
        connection.call("get_instance", {"hypervisor": "a/b", "instance": "x y?"})
    connection.close()
    assert daemon.asked[0][1] == "/v1/hypervisors/a%2Fb/instances/x%20y%3F"


def test_a_problem_is_told_in_its_own_words(daemon: Daemon) -> None:
    daemon.status = 422
    daemon.headers = "application/problem+json"
    daemon.body = json.dumps(
        {
            "type": "https://hypersdk.dev/problems/InvalidInput",
            "title": "x",
            "status": 422,
            "detail": "the request is not understood",
            "hint": "See the documents.",
            "errors": [{"field": "body.cron", "message": "is no cron line"}],
        }
    )
    connection = Connection(daemon.url)
    with pytest.raises(DaemonRefused) as caught:
        connection.call("get_status")
    connection.close()
    error = caught.value
    assert error.message == "the request is not understood; body.cron: is no cron line"
    assert (error.hint, error.status, error.kind) == ("See the documents.", 422, "InvalidInput")


def test_an_error_of_the_known_routes(daemon: Daemon) -> None:
    daemon.status, daemon.body = 404, json.dumps({"error": "no job 7", "hint": "List them."})
    connection = Connection(daemon.url)
    with pytest.raises(DaemonRefused, match="no job 7\nList them"):
        connection.call("known_get_job", {"id": "7"})
    connection.close()


@pytest.mark.parametrize("body", ["<html>proxy</html>", "[1]", ""])
def test_an_answer_that_is_not_the_daemons(daemon: Daemon, body: str) -> None:
    daemon.status, daemon.body = 502, body
    connection = Connection(daemon.url)
    with pytest.raises(DaemonRefused, match="Bad Gateway"):
        connection.call("get_status")
    connection.close()


def test_who_is_not_known_is_told_to_log_in(daemon: Daemon) -> None:
    daemon.status, daemon.body = 401, json.dumps({"detail": "no credentials"})
    connection = Connection(daemon.url)
    with pytest.raises(DaemonRefused, match="hyperctl login"):
        connection.call("get_status")
    connection.close()


def test_a_token_is_not_sent_elsewhere(
    daemon: Daemon, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Redirects are not followed."""
    (tmp_path / "token").write_text("hsdk_1_secret\n")
    (tmp_path / "token").chmod(0o600)
    daemon.status, daemon.location, daemon.body = 307, "http://127.0.0.1:1/steal", ""
    connection = Connection(daemon.url, token=f"file:{tmp_path}/token")
    assert connection.call("get_status") is None
    connection.close()
    assert daemon.asked[0][2]["Authorization"] == "Bearer hsdk_1_secret"
    assert len(daemon.asked) == 1


def test_a_token_itself_is_refused(daemon: Daemon) -> None:
    """It would stand on the command line."""
    with pytest.raises(InvalidInput) as caught:
        Connection(daemon.url, token="hsdk_1_secret")
    assert "hsdk_1_secret" not in str(caught.value)


def test_nobody_answers() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    connection = Connection(f"http://127.0.0.1:{port}")
    with pytest.raises(DaemonUnreachable, match="Start it with: hypervisord"):
        connection.call("get_status")
    connection.close()


def test_over_a_socket(tmp_path: Path) -> None:
    path = tmp_path / "daemon.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()

        def answer() -> None:
            taken, _ = listening.accept()
            with taken:
                taken.recv(65536)
                body = json.dumps(STATUS).encode()
                head = [
                    "HTTP/1.1 200 OK",
                    "Content-Type: application/json",
                    f"Content-Length: {len(body)}",
                ]
                taken.sendall("\r\n".join([*head, "", ""]).encode() + body)

        thread = threading.Thread(target=answer)
        thread.start()
        connection = Connection(f"unix:{path}")
        assert connection.call("get_status").user == "ann"
        connection.close()
        thread.join()


@pytest.mark.parametrize("url", ["ftp://x", "backup:8080", "http://"])
def test_no_url(url: str) -> None:
    with pytest.raises(InvalidInput, match="is no URL of a daemon"):
        Connection(url)


def test_no_password_in_a_url() -> None:
    with pytest.raises(InvalidInput, match="must not hold a password") as caught:
        Connection("https://ann:hunter2@backup")
    assert "hunter2" not in str(caught.value)
