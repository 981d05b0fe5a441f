from __future__ import annotations

import gc
import http.client
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from hypersdk.drivers.vsphere import session
from hypersdk.drivers.vsphere.address import address
from hypersdk.drivers.vsphere.connection import Connection
from hypersdk.model.errors import HypervisorError
from tests.vsphere.lab import VsphereLab


def test_it_says_now_and_then_that_it_is_there(
    vsphere_lab: VsphereLab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "ALIVE_SECONDS", 0.05)
    before = vsphere_lab.state()["calls"].get("CurrentTime", 0)
    made = Connection(address(vsphere_lab.url))
    deadline = time.monotonic() + 30
    while vsphere_lab.state()["calls"].get("CurrentTime", 0) < before + 2:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    made.close()


def test_the_newest_version_that_both_know() -> None:
    assert session._version("8.0.2.0") == "vim.version.v8_0_2_0"
    assert session._version("8.0.2.9") == "vim.version.v8_0_2_0"
    assert session._version("6.5") == session._version("6.5.0.1")
    assert session._version("99.0") == session._version("98.0")
    assert session._version("1.0") == "vim.version.version9"


def test_a_child_does_not_end_the_session_of_its_parent(vsphere_lab: VsphereLab) -> None:
    made = Connection(address(vsphere_lab.url))
    before = len(vsphere_lab.state()["sessions"])
    made.session._process = os.getpid() + 1  # as a fork sees it
    made.close()
    assert len(vsphere_lab.state()["sessions"]) == before
    made.session._process = os.getpid()
    made.session.content.sessionManager.Logout()
    del made
    gc.collect()


def test_secrets_are_not_shown(vsphere_lab: VsphereLab, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Connection(address(vsphere_lab.url))
    assert "given" not in repr(made.address)
    assert made.session.authorization() == ("lab", "lab")
    made.close()


class _Newer(BaseHTTPRequestHandler):
    """A server that answers with a type that nobody knows."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        answer = (
            b'<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/"><Body>'
            b'<RetrieveServiceContentResponse xmlns="urn:vim25">'
            b'<returnval xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
            b'xsi:type="ContentOfTomorrow"/>'
            b"</RetrieveServiceContentResponse></Body></Envelope>"
        )
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


def test_an_answer_that_cannot_be_read_is_no_mistake_of_ours(connection: Connection) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Newer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stub = session._Stub(
            host="127.0.0.1", port=server.server_port, version="vim.version.v8_0_2_0"
        )
        stub.scheme = http.client.HTTPConnection
        content = session._service(stub).RetrieveContent
        with pytest.raises(HypervisorError, match="answer to RetrieveServiceContent") as raised:
            connection.call(content, "look at 'web'")
        server.shutdown()
        stub.DropConnections()
    assert "ContentOfTomorrow" in raised.value.message
    assert "pyvmomi" in raised.value.hint


def test_a_mistake_of_ours_is_seen(connection: Connection) -> None:
    manager = connection.content.sessionManager
    with pytest.raises(TypeError):
        connection.call(lambda: manager.Login(1, 2, 3), "log in")
