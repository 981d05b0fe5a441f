from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from hypersdk.estate.posting import Answered, post
from tests.estate.receiver import receiving


def send(url: str, *, timeout: float = 5.0, allow_private: bool = True) -> Answered:
    return post(url, b"{}", {"x-a": "b"}, timeout=timeout, allow_private=allow_private)


def test_what_is_sent_arrives() -> None:
    with receiving((204, {}, b"")) as receiver:
        answered = send(f"{receiver.url}?a=b")
    assert answered == Answered(True, "it answered 204")
    (received,) = receiver.received
    assert (received.path, received.body, received.headers["x-a"]) == ("/hook?a=b", b"{}", "b")
    assert received.headers["host"] == receiver.url.split("/")[2]


@pytest.mark.parametrize(
    ("reply", "said", "final", "after"),
    [
        ((500, {}, b"no disk"), "it answered 500 Internal Server Error: no disk", False, 0.0),
        ((404, {}, b""), "it answered 404 Not Found", False, 0.0),
        ((410, {}, b""), "it answered 410 Gone", True, 0.0),
        ((429, {"retry-after": "30"}, b""), "it answered 429 Too Many Requests", False, 30.0),
        (
            (503, {"retry-after": "9" * 8}, b""),
            "it answered 503 Service Unavailable",
            False,
            7200.0,
        ),
    ],
)
def test_refusals(
    reply: tuple[int, dict[str, str], bytes], said: str, final: bool, after: float
) -> None:
    with receiving(reply) as receiver:
        assert send(receiver.url) == Answered(False, said, final, after)


def test_no_redirect_is_followed() -> None:
    with receiving() as inner, receiving((307, {"location": inner.url}, b"")) as outer:
        answered = send(outer.url)
    assert answered == Answered(False, "it answered 307: redirects are not followed")
    assert inner.received == []


def test_a_private_address_is_not_connected_to() -> None:
    with receiving() as receiver:
        answered = send(receiver.url, allow_private=False)
    assert answered.final
    assert "loopback address" in answered.said
    assert receiver.received == []


def test_a_name_is_looked_up_once_and_what_was_looked_at_is_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Else a second answer of a hostile name server would lead into our own network."""
    asked: list[str] = []
    real = socket.getaddrinfo

    def lookup(host: Any, port: Any, *args: Any, **more: Any) -> Any:
        asked.append(host)
        if host == "hooks.example.org":
            place = "127.0.0.1" if asked.count(host) == 1 else "127.0.0.2"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (place, port))]
        return real(host, port, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    with receiving() as receiver:
        port = receiver.url.split(":")[2].split("/")[0]
        assert send(f"http://hooks.example.org:{port}/x").delivered
        assert receiver.received[0].headers["host"] == f"hooks.example.org:{port}"
        asked.clear()
        refused = send(f"http://hooks.example.org:{port}/x", allow_private=False)
    assert asked == ["hooks.example.org"]
    assert refused.final
    assert len(receiver.received) == 1


@contextmanager
def dripping(pause: float) -> Iterator[str]:
    """A server that sends a byte of its head now and then, for ever."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ended = threading.Event()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                try:
                    while not ended.wait(pause):
                        connection.sendall(b"H")
                except OSError:
                    return

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        ended.set()
        thread.join()


def test_one_who_answers_byte_by_byte_is_given_up() -> None:
    with dripping(0.05) as url:
        began = time.monotonic()
        answered = send(url, timeout=0.4)
        assert time.monotonic() - began < 5
    assert not answered.delivered
    assert not answered.final


def test_nobody_there_and_a_name_that_is_not_known() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert send(f"http://127.0.0.1:{port}/").said == "Connection refused"
    assert "its name is not known" in send("http://nowhere.invalid/").said


def test_what_is_not_http_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"SSH-2.0-x\r\n\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        answered = send(f"http://127.0.0.1:{server.getsockname()[1]}/")
        thread.join()
    assert not answered.delivered
    assert "not HTTP" in answered.said
