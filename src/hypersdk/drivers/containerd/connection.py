"""One connection to containerd that comes back after it was lost.

Every call has a deadline and looks at the cancel token in force. gRPC's own channel reconnects, but
fails calls at once while it waits for its next attempt; so one that was found dead is replaced, and
the next call really tries.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from collections.abc import Iterator
from typing import Any

import grpc

from hypersdk.datapath.cancel import WAIT_SLICE, CancelToken, token_in_force
from hypersdk.drivers.containerd.address import Address
from hypersdk.drivers.containerd.errors import status
from hypersdk.drivers.containerd.methods import method_of
from hypersdk.model.errors import HypervisorDenied, HypervisorUnreachable, Interrupted

#: Seconds until a call has failed that only asks.
READ_SECONDS = 30.0
#: And one that changes something: unpacking a layer, or starting on a slow disk.
CHANGE_SECONDS = 600.0
#: Bytes of one message; containerd sends up to 16 MiB, and lists of thousands are as large.
_MESSAGE_MAX = 64 << 20


class Connection:
    """May be used by any number of threads. Calls raise grpc.RpcError: callers know what they were
    doing, and translate it (`errors.native`)."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._metadata = (("containerd-namespace", address.namespace),)
        self._lock = threading.Lock()
        self._closed = False
        self._channel: grpc.Channel | None = None
        self._methods: dict[str, Any] = {}

    def __str__(self) -> str:
        return str(self.address)

    def read(self, method: str, request: Any) -> Any:
        """A call that changes nothing: ``read("tasks.List", ListTasksRequest())``.

        The first attempt costs as little as the library allows; only when it takes longer than
        anybody may wait without looking at the token is it made anew, in a way that can be left.
        """
        token_in_force().check()
        channel = self._opened()
        try:
            return self._method(channel, method)(
                request, timeout=WAIT_SLICE, metadata=self._metadata
            )
        except grpc.RpcError as error:
            if status(error) is not grpc.StatusCode.DEADLINE_EXCEEDED:
                self._notice(channel, error)
                raise
        except ValueError as error:
            raise self._shut(error) from error
        return self.change(method, request, timeout=READ_SECONDS)

    def change(
        self, method: str, request: Any, *, timeout: float = CHANGE_SECONDS, lease: str = ""
    ) -> Any:
        """A call that is made once. What it makes is held by ``lease``. Raises Interrupted."""
        with self._watched() as channel:
            token = token_in_force()
            token.check()
            future = self._method(channel, method).future(
                request, timeout=timeout, metadata=self._held_by(lease)
            )
            try:
                while True:
                    with contextlib.suppress(grpc.FutureTimeoutError):
                        return future.result(timeout=WAIT_SLICE)
                    token.check()
            except Interrupted:
                future.cancel()
                raise

    def stream(
        self, method: str, request: Any, *, timeout: float | None = CHANGE_SECONDS, lease: str = ""
    ) -> Any:
        """A call whose answers (or questions) are many; None: until somebody cancels it."""
        with self._watched() as channel:
            return self._method(channel, method)(
                request, timeout=timeout, metadata=self._held_by(lease)
            )

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Around reading answers of a stream: a lost connection is noticed."""
        with self._watched():
            yield

    def close(self) -> None:
        """May be called several times."""
        with self._lock:
            self._closed = True
            self._drop()

    def _held_by(self, lease: str) -> tuple[tuple[str, str], ...]:
        return (*self._metadata, ("containerd-lease", lease)) if lease else self._metadata

    @contextlib.contextmanager
    def _watched(self) -> Iterator[grpc.Channel]:
        channel = self._opened()
        try:
            yield channel
        except grpc.RpcError as error:
            self._notice(channel, error)
            raise
        except ValueError as error:
            raise self._shut(error) from error

    def _notice(self, channel: grpc.Channel, error: grpc.RpcError) -> None:
        if status(error) in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}:
            with self._lock:
                if self._channel is channel:
                    self._drop()

    def _shut(self, error: ValueError) -> Exception:
        """gRPC's way to say that another thread has closed the channel."""
        if "closed" not in str(error):
            return error
        return HypervisorUnreachable(f"the connection to {self} was closed", hint="Connect anew.")

    def _opened(self) -> grpc.Channel:
        channel = self._channel
        if channel is not None:
            return channel
        with self._lock:
            if self._closed:
                raise HypervisorUnreachable(
                    f"the connection to {self} was closed", hint="Connect anew."
                )
            if self._channel is None:
                probe(self.address.socket)
                self._methods = {}
                self._channel = grpc.insecure_channel(
                    f"unix://{self.address.socket}",
                    options=(
                        ("grpc.max_receive_message_length", _MESSAGE_MAX),
                        ("grpc.use_local_subchannel_pool", 1),
                        ("grpc.enable_http_proxy", 0),
                        # A name for the peer; otherwise it is the percent-encoded path.
                        ("grpc.default_authority", "localhost"),
                    ),
                )
            return self._channel

    def _method(self, channel: grpc.Channel, name: str) -> Any:
        method = self._methods.get(name)
        if method is None or method[0] is not channel:
            method = (channel, method_of(channel, name))
            self._methods[name] = method
        return method[1]

    def _drop(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None


def probe(path: str) -> None:
    """Connect and leave again: gRPC calls every failure "unavailable". Raises
    HypervisorDenied, HypervisorUnreachable."""
    with socket.socket(socket.AF_UNIX) as plain:
        plain.settimeout(READ_SECONDS)
        try:
            plain.connect(path)
        except PermissionError as error:
            raise HypervisorDenied(
                f"the socket {path} may not be used by this user",
                hint="Run it as root, or as a user whom the gid in containerd's [grpc] allows it.",
            ) from error
        except OSError as error:
            reason = "its path is too long" if error.errno is None else error.strerror
            hint = "See whether containerd runs: systemctl status containerd"
            if error.errno in {errno.ENOENT, errno.ENOTDIR, None}:
                hint += "; and whether the path is right: containerd config dump"
            raise HypervisorUnreachable(
                f"nothing answers on the socket {path}: {reason}", hint=hint
            ) from error


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """Cleaning up after a cancelled operation must not be cancelled by the same token."""
    with CancelToken().scope():
        yield
