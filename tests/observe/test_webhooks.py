from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from hypersdk.model.errors import InvalidInput
from hypersdk.observe.notify import NotificationFailed
from hypersdk.observe.webhooks import send_webhook
from tests.observe.receivers import HttpReceiver, serving

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
EVENT = "export.completed"
PAYLOAD = {"instance": "web", "place": "/exports/web", "size": 3 << 30, "seconds": 61.0}


@pytest.fixture
def receiver() -> Iterator[HttpReceiver]:
    server = HttpReceiver()
    with serving(server):
        yield server


def send(receiver: HttpReceiver, waits: list[float] | None = None, /, **options: Any) -> None:
    """The notice, without waiting between attempts."""
    kept: list[float] = [] if waits is None else waits
    fields = {"secret": SECRET, "wait": kept.append, **options}
    send_webhook(receiver.url, EVENT, PAYLOAD, **fields)


def test_a_signed_event(receiver: HttpReceiver) -> None:
    send(receiver)
    ((path, headers, body),) = receiver.received
    assert path == "/hooks/exports"
    assert headers["content-type"] == "application/json"
    document = Webhook(SECRET).verify(body, headers)
    assert document["type"] == "export.completed"
    assert document["data"] == PAYLOAD
    assert document["data"]["size"] == 3 << 30
    assert document["timestamp"].endswith("+00:00")


def test_a_changed_event_is_recognised(receiver: HttpReceiver) -> None:
    send(receiver)
    ((_, headers, body),) = receiver.received
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body.replace(b"web", b"dev"), headers)
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_b3RoZXI=").verify(body, headers)


def test_a_secret_without_its_prefix(receiver: HttpReceiver) -> None:
    send(receiver, secret=SECRET.removeprefix("whsec_"))
    ((_, headers, body),) = receiver.received
    Webhook(SECRET).verify(body, headers)


@pytest.mark.parametrize("secret", ["hunter2!", "whsec_", "whsec_ä", "not base64 at all"])
def test_a_secret_that_is_none(receiver: HttpReceiver, secret: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        send(receiver, secret=secret)
    assert secret.removeprefix("whsec_") not in str(caught.value) or secret == "whsec_"
    assert receiver.received == []


def test_unsigned(receiver: HttpReceiver) -> None:
    send(receiver, secret="")
    ((_, headers, _),) = receiver.received
    assert not any(name.startswith("webhook-") for name in headers)


@pytest.mark.parametrize(("kind", "field"), [("slack", "text"), ("discord", "content")])
def test_chats(receiver: HttpReceiver, kind: str, field: str) -> None:
    send(receiver, kind=kind, text="x" * 3000, secret="")
    ((_, _, body),) = receiver.received
    document = json.loads(body)
    assert list(document) == [field]
    assert len(document[field]) == (2000 if kind == "discord" else 3000)


def test_secrets_in_it_are_masked(receiver: HttpReceiver) -> None:
    payload = {"error": "cannot log in to vsphere://root:s3cret@host/", "password": "s3cret"}
    send_webhook(receiver.url, "export.failed", payload, SECRET)
    assert b"s3cret" not in receiver.received[0][2]


def test_what_may_succeed_later_is_tried_again(receiver: HttpReceiver) -> None:
    receiver.answers = [(503, {}), (429, {"Retry-After": "7"}), (500, {"Retry-After": "900"})]
    waits: list[float] = []
    send(receiver, waits)
    assert waits == [0.5, 7.0, 30.0]
    assert len(receiver.received) == 4
    assert len({headers["webhook-id"] for _, headers, _ in receiver.received}) == 1
    for _, headers, body in receiver.received:
        Webhook(SECRET).verify(body, headers)


def test_it_is_given_up(receiver: HttpReceiver) -> None:
    receiver.answers = [(503, {})] * 9
    with pytest.raises(NotificationFailed) as caught:
        send(receiver)
    assert caught.value.message == (
        "the webhook on 127.0.0.1 was not delivered: it answered 503 Service Unavailable "
        "(4 attempts)"
    )


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410])
def test_a_refusal_is_final(receiver: HttpReceiver, status: int) -> None:
    receiver.answers = [(status, {})]
    with pytest.raises(NotificationFailed, match=f"it answered {status}"):
        send(receiver)
    assert len(receiver.received) == 1


def test_a_redirect_on_the_same_host_is_followed(receiver: HttpReceiver) -> None:
    receiver.answers = [(307, {"Location": "/elsewhere"})]
    send(receiver)
    (_, first), (path, headers, body) = receiver.received[0][:2], receiver.received[1]
    assert path == "/elsewhere"
    assert headers["webhook-id"] == first["webhook-id"]
    Webhook(SECRET).verify(body, headers)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_is_not(receiver: HttpReceiver, status: int) -> None:
    other = HttpReceiver()
    with serving(other):
        receiver.answers = [(status, {"Location": other.url})]
        with pytest.raises(NotificationFailed, match="redirects elsewhere"):
            send(receiver)
    assert other.received == []
    assert len(receiver.received) == 1


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://127.0.0.1/", "//other/", ""])
def test_a_redirect_to_something_else(receiver: HttpReceiver, location: str) -> None:
    receiver.answers = [(308, {"Location": location})] * 8
    with pytest.raises(NotificationFailed):
        send(receiver)


def test_silence_has_an_end(receiver: HttpReceiver) -> None:
    receiver.open.clear()
    with pytest.raises(NotificationFailed, match=r"it did not answer in time \(2 attempts\)"):
        send(receiver, timeout=0.1, attempts=2)
    receiver.open.set()


def test_nobody_is_there() -> None:
    server = HttpReceiver()
    url = server.url
    server.server_close()
    waits: list[float] = []
    with pytest.raises(NotificationFailed, match=r"Connection refused \(4 attempts\)"):
        send_webhook(url, "export.started", {}, wait=waits.append)
    assert waits == [0.5, 1.0, 2.0]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nothing",
        "file:///etc/passwd",
        "ftp://host/s3cret",
        "http://",
        "http://host:99999/s3cret",
        "https://user:s3cret@host/",
        "http://[s3cret/",
    ],
)
def test_an_address_that_is_none(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(InvalidInput) as caught:
        send_webhook(url, "export.started", {})
    assert "s3cret" not in str(caught.value) + caplog.text


def test_a_kind_that_is_none(receiver: HttpReceiver) -> None:
    with pytest.raises(InvalidInput, match="'teams' is no kind"):
        send(receiver, kind="teams")


def test_a_secret_path_is_not_repeated(receiver: HttpReceiver) -> None:
    receiver.answers = [(404, {})]
    with pytest.raises(NotificationFailed) as caught:
        send(receiver)
    assert "/hooks" not in str(caught.value)
