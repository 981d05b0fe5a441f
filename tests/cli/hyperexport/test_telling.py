"""Who wants to know is told: real servers take mail and webhooks here."""

from __future__ import annotations

import base64
import json
import socket
import socketserver
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from hypersdk.cli.hyperexport.exits import Exit
from tests.cli.hyperexport.conftest import Export

# apprise imports it
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

SECRET = "whsec_" + "c2VjcmV0IG9mIHRoZSBob29r"


class Receiver(ThreadingHTTPServer):
    """Keeps what is posted to it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.taken: list[tuple[dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"

    @property
    def events(self) -> list[Any]:
        return [json.loads(body) for _, body in self.taken]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        assert isinstance(self.server, Receiver)
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.taken.append((dict(self.headers.items()), body))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


class _Mailbox(socketserver.StreamRequestHandler):
    """As much of SMTP as a client needs."""

    def handle(self) -> None:
        assert isinstance(self.server, MailServer)
        self._say("220 here")
        while line := self.rfile.readline().decode().strip():
            self.server.said.append(line)
            word = line.split()[0].upper()
            if word == "EHLO":
                self._say("250-here\r\n250 AUTH PLAIN LOGIN")
            elif word == "AUTH":
                self._say("235 welcome")
            elif word == "DATA":
                self._say("354 go on")
                text = b""
                while not text.endswith(b"\r\n.\r\n"):
                    text += self.rfile.readline()
                self.server.mails.append(text.decode())
                self._say("250 taken")
            elif word == "QUIT":
                self._say("221 bye")
                return
            else:
                self._say("250 fine")

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


class MailServer(socketserver.ThreadingTCPServer):
    allow_reuse_address = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Mailbox)
        self.said: list[str] = []
        self.mails: list[str] = []


@pytest.fixture
def mail() -> Iterator[MailServer]:
    with MailServer() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_webhook_is_signed(
    export: Export, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", SECRET)
    export("web", "--webhook-url", receiver.url, "--webhook-secret", "env:HOOK", "--quiet")
    ((headers, body),) = receiver.taken
    event = Webhook(SECRET).verify(body, {key.lower(): value for key, value in headers.items()})
    assert event["type"] == "export.completed"
    assert event["data"]["instance"] == "web"
    assert event["data"]["size"] > 0


def test_a_webhook_at_every_moment(export: Export, receiver: Receiver) -> None:
    line = ("--webhook-url", receiver.url, "--webhook-on-start", "--quiet")
    export("web", "gone", *line, expect=Exit.PARTIAL)
    assert sorted(each["type"] for each in receiver.events) == [
        "export.completed",
        "export.failed",
        "export.started",
    ]


def test_a_webhook_at_no_moment(export: Export, receiver: Receiver) -> None:
    line = ("--webhook-url", receiver.url, "--no-webhook-on-complete", "--no-webhook-on-error")
    export("web", "gone", *line, expect=Exit.PARTIAL)
    assert receiver.taken == []


@pytest.mark.parametrize(("kind", "field"), [("slack", "text"), ("discord", "content")])
def test_a_message_in_a_chat(
    export: Export, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, kind: str, field: str
) -> None:
    monkeypatch.setenv("CHAT", receiver.url)
    export("web", "--webhook-url", "env:CHAT", "--webhook-type", kind, "--quiet")
    (event,) = receiver.events
    assert event[field].startswith("Export completed: web: exported to export-web (")


def test_a_service_of_apprise(export: Export, receiver: Receiver) -> None:
    url = receiver.url.replace("http://", "json://")
    export("web", "--notify", url, "--quiet")
    (event,) = receiver.events
    assert "Export completed: web" in event["title"]
    assert event["type"] == "success"
    export("gone", "--notify", url, "--quiet", expect=Exit.NOT_FOUND)
    assert receiver.events[1]["type"] == "failure"
    assert "no instance 'gone'" in receiver.events[1]["message"]


def test_who_cannot_be_told_fails_no_export(export: Export) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    result = export("web", "--notify", f"json://127.0.0.1:{port}/", "--quiet")
    assert result.err.startswith("warning: the notification through json://… was not taken")
    assert "not understood" in export("web", "--overwrite", "--notify", "x://y", "--quiet").err


MAIL = (
    *("--email-notify", "--email-from", "hyperexport@example.org", "--email-security", "none"),
    *("--email-to", "one@example.org,two@example.org", "--email-smtp-host", "127.0.0.1"),
)


def test_mail(export: Export, mail: MailServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILWORD", "correct/horse@battery")
    port = mail.server_address[1]
    login = ("--email-username", "exporter", "--email-password", "env:MAILWORD")
    line = (*MAIL, "--email-smtp-port", port, *login, "--quiet")
    result = export("web", *line, "--email-on-start")
    assert result.err == ""
    text = "\n".join(mail.mails)
    assert "Export_begins" in text or "Export begins" in text
    said = [each.lower().partition(" size=")[0] for each in mail.said]
    assert "mail from:<hyperexport@example.org>" in said
    assert {"rcpt to:<one@example.org>", "rcpt to:<two@example.org>"} <= set(said)
    proof = base64.b64encode(b"\0exporter\0correct/horse@battery").decode()
    assert f"AUTH PLAIN {proof}" in mail.said


@pytest.mark.parametrize(
    ("name", "option", "count"),
    [
        ("web", "--no-email-on-complete", 0),
        ("web", "--no-email-on-failure", 1),
        ("gone", "--no-email-on-failure", 0),
        ("gone", "--no-email-on-complete", 1),
    ],
)
def test_mail_at_its_moments(
    export: Export, mail: MailServer, name: str, option: str, count: int
) -> None:
    port = mail.server_address[1]
    one = [each if "," not in each else "one@example.org" for each in MAIL]
    line = (*one, "--email-smtp-port", port, option, "--quiet")
    export(name, *line, expect=Exit.OK if name == "web" else Exit.NOT_FOUND)
    assert len(mail.mails) == count


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["--email-notify"], "needs --email-smtp-host"),
        (["--email-to", "a@b"], "--email-to goes with --email-notify"),
        ([*MAIL, "--email-username", "u"], "go together"),
        (["--webhook-secret", "env:X"], "goes with --webhook-url"),
        (
            ["--webhook-url", "x", "--webhook-secret", "env:X", "--webhook-type", "slack"],
            "no signatures",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(export: Export, line: list[str], words: str) -> None:
    assert words in export("web", *line, expect=Exit.USAGE).err


def test_the_audit_log(export: Export, work: Path) -> None:
    export("web", "gone", "--audit-log", "audit.jsonl", "--quiet", expect=Exit.PARTIAL)
    export("web", "--audit-log", "audit.jsonl", "--quiet")
    records = [json.loads(line) for line in (work / "audit.jsonl").read_text().splitlines()]
    events = [each["event"] for each in records]
    assert sorted(events[:4]) == ["export_complete", "export_failed", "export_start", "run_end"]
    assert events[4:] == ["export_start", "export_complete", "run_end"]
    assert records[-2]["instance"] == "web"
    assert stat.S_IMODE((work / "audit.jsonl").stat().st_mode) == 0o600


def test_without_the_audit_log_nothing_is_done(export: Export, work: Path) -> None:
    result = export("web", "--audit-log", "none/audit.jsonl", expect=Exit.USAGE)
    assert "cannot write to the audit log" in result.err
    assert not (work / "export-web").exists()
