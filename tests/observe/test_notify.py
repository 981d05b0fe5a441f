from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from hypersdk.observe.notify import NotificationFailed, notify
from tests.observe.receivers import MailReceiver, serving

# Of apprise itself, until Python 3.13 has no such module any more.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


class Receiver(HTTPServer):
    """A web service that takes notifications, or refuses them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[Any] = []
        self.status = 200

    @property
    def url(self) -> str:
        return f"json://user:s3cret@127.0.0.1:{self.server_port}/hook"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.received.append(json.loads(body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Not on the screen."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("failed", "kind"), [(None, "info"), (False, "success"), (True, "failure")]
)
def test_a_message_arrives(receiver: Receiver, failed: bool | None, kind: str) -> None:
    notify(receiver.url, "title", "body", failed=failed)
    (message,) = receiver.received
    assert (message["title"], message["message"]) == ("title", "body")
    assert message["type"] == kind


def test_a_refusal_and_no_secret_in_it(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.status = 500
    caplog.set_level(logging.DEBUG)
    with pytest.raises(NotificationFailed) as caught:
        notify(receiver.url, "title", "body", failed=False)
    assert caught.value.message == "the notification through json://… was not taken"
    assert "s3cret" not in caplog.text + str(caught.value)


@pytest.mark.parametrize("url", ["nothing", "no-such://s3cret@host", "", "s3cret://", "json://"])
def test_an_address_that_is_none(url: str, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(NotificationFailed) as caught:
        notify(url, "title", "body", failed=False)
    assert "s3cret@" not in caplog.text + str(caught.value)


@pytest.fixture
def mail() -> Iterator[MailReceiver]:
    server = MailReceiver()
    with serving(server):
        yield server


def address(mail: MailReceiver, *recipients: str) -> str:
    to = ",".join(recipients)
    return f"mailto://127.0.0.1:{mail.port}/?smtp=127.0.0.1&from=lab@example.org&to={to}"


def test_mail_arrives_with_everyone_who_is_named(mail: MailReceiver) -> None:
    url = address(mail, "ops@example.org", "boss@example.org")
    notify(url, "web exported", "size: 5.0 MiB", failed=False)
    assert sorted(mail.recipients) == ["boss@example.org", "ops@example.org"]
    assert all("web exported" in str(each["Subject"]) for each in mail.mails)
    assert "lab@example.org" in str(mail.mails[0]["From"])
    assert "size: 5.0 MiB" in mail.mails[0].as_string()


def test_mail_that_is_refused(mail: MailReceiver, caplog: pytest.LogCaptureFixture) -> None:
    mail.refusing = True
    with pytest.raises(NotificationFailed, match="through mailto://… was not taken"):
        notify(address(mail, "x@example.org"), "title", "body", failed=True)
    assert mail.mails == []
