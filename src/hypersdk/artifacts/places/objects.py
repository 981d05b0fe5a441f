"""Object storage through obstore: S3 and what is compatible with it, Azure, Google.

A file of more than one part is sent in parts, several at once; the object appears when the last
step puts them together. Each request of a part is repeated by obstore itself when it fails, so a
short outage costs a part and not the file. What cannot be done is to continue a file in another
run: obstore does not tell the id of an upload.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import obstore
from obstore.exceptions import BaseError

from hypersdk.artifacts.places.objecterrors import store_error
from hypersdk.artifacts.places.ports import PlacedFile
from hypersdk.artifacts.places.sources import Sending, checked_name, sending
from hypersdk.artifacts.streams import Readable, Told, ignore
from hypersdk.datapath.cancel import WAIT_SLICE, CancelToken, token_in_force
from hypersdk.model.errors import AlreadyExists, Damaged, HyperSDKError, NotFound

if TYPE_CHECKING:
    from obstore.store import AzureStore, ClientConfig, GCSStore, RetryConfig, S3Store

    Backend = S3Store | AzureStore | GCSStore

T = TypeVar("T")

#: Bytes of a part, unless the file would have too many of them.
PART = 8 << 20
#: Parts of a stream whose size nobody knows: 320 GiB fit into 10 000 of them.
_PART_UNKNOWN = 32 << 20
#: S3 takes 10 000.
_PARTS_MOST = 9_000
#: Bytes of parts under way.
_UNDER_WAY = 64 << 20

#: A connection is given up after this silence; a part must fit into it on a slow line.
CLIENT: ClientConfig = {
    "connect_timeout": timedelta(seconds=10),
    "read_timeout": timedelta(minutes=2),
    "timeout": timedelta(minutes=10),
}
RETRY: RetryConfig = {
    "max_retries": 4,
    "retry_timeout": timedelta(minutes=3),
    "backoff": {
        "init_backoff": timedelta(milliseconds=300),
        "max_backoff": timedelta(seconds=15),
        "base": 2,
    },
}


class ObjectPlace:
    """Objects of a bucket or container, below a prefix that ``backend`` applies."""

    def __init__(self, url: str, backend: Backend, *, signed: bool = False) -> None:
        """``signed``: each request carries a digest of its content that the place compares."""
        self.url = url
        self._backend = backend
        self._signed = signed

    def put(
        self,
        name: str,
        source: Path | Readable,
        *,
        size: int | None = None,
        overwrite: bool = False,
        progress: Told = ignore,
        pace: Told = ignore,
        cancel: CancelToken | None = None,
    ) -> PlacedFile:
        """Without ``overwrite``, small files are created by one request that never replaces; of
        larger ones the name is looked for before, since parts cannot be put together that way."""
        checked_name(name)
        token = cancel or token_in_force()
        if not overwrite:
            self._refuse_existing(name)
        with sending(
            source, name, size=size, progress=progress, pace=pace, cancel=token
        ) as content:
            self._send(name, content, overwrite, token)
        found = self.stat(name)
        if found.size != content.count:
            raise Damaged(
                f"{self.url}/{name} has {found.size} bytes, {content.count} were sent",
                hint="Delete it there and bring it again.",
            )
        confirmed = "signature" if self._signed else ""
        return PlacedFile(name, found.size, found.modified, content.sha256, confirmed)

    def read(self, name: str) -> Iterator[bytes]:
        with self._errors(checked_name(name)):
            for piece in obstore.get(self._backend, name).stream(min_chunk_size=1 << 20):
                yield bytes(piece)

    def stat(self, name: str) -> PlacedFile:
        with self._errors(checked_name(name)):
            found = obstore.head(self._backend, name)
        return PlacedFile(name, found["size"], found["last_modified"])

    def list(self, prefix: str = "") -> Iterator[PlacedFile]:
        with self._errors(checked_name(prefix) if prefix else ""):
            for page in obstore.list(self._backend, prefix or None):
                for found in page:
                    yield PlacedFile(found["path"], found["size"], found["last_modified"])

    def delete(self, name: str) -> None:
        with contextlib.suppress(NotFound), self._errors(checked_name(name)):
            obstore.delete(self._backend, name)

    def close(self) -> None:
        """obstore closes its idle connections by itself."""

    def _send(self, name: str, content: Sending, overwrite: bool, token: CancelToken) -> None:
        part = _part_size(content.size)
        first = content.exactly(part)
        if len(first) < part:
            mode = "overwrite" if overwrite else "create"
            self._call(
                name,
                lambda: obstore.put(
                    self._backend,
                    name,
                    first,
                    mode=mode,  # type: ignore[arg-type] # one of two literals
                    use_multipart=False,
                ),
                token,
            )
            return
        parts = _Parts(itertools.chain([first], content.pieces(part)), token)
        try:
            self._call(
                name,
                lambda: obstore.put(
                    self._backend,
                    name,
                    parts,
                    use_multipart=True,
                    chunk_size=part,
                    max_concurrency=max(_UNDER_WAY // part, 1),
                ),
                token,
            )
        except HyperSDKError as error:
            # obstore turns what the source raised into an error of its own.
            raise parts.error or error from error

    def _refuse_existing(self, name: str) -> None:
        with contextlib.suppress(NotFound):
            self.stat(name)
            raise AlreadyExists(
                f"{self.url}/{name} already exists",
                hint="Choose another name, or say that it may be overwritten.",
            )

    def _call(self, name: str, request: Callable[[], T], token: CancelToken) -> T:
        """Wait for a request in a thread of its own, since it cannot be interrupted: one that is
        cancelled goes on unseen until its next part, where it learns of it and cleans up."""
        result: list[T] = []
        errors: list[BaseException] = []

        def call() -> None:
            try:
                with self._errors(name, writing=True):
                    result.append(request())
            except BaseException as error:  # noqa: BLE001 - raised again by the caller below
                errors.append(error)

        thread = threading.Thread(target=call, name=f"put {name}", daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(WAIT_SLICE)
            if thread.is_alive():
                token.check()
        if errors:
            raise errors[0]
        return result[0]

    @contextlib.contextmanager
    def _errors(self, name: str, *, writing: bool = False) -> Iterator[None]:
        """Turn every failure of obstore in the block into one of our errors."""
        try:
            yield
        except (BaseError, OSError, ValueError) as error:
            raise store_error(error, self.url, name, writing=writing) from error


class _Parts:
    """Parts of a file; keeps what their source raised, and asks the token before each."""

    def __init__(self, parts: Iterator[bytes], token: CancelToken) -> None:
        self._parts = parts
        self._token = token
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            self._token.check()
            return next(self._parts)
        except StopIteration:
            raise
        except BaseException as error:
            self.error = error
            raise


def _part_size(size: int | None) -> int:
    """Bytes of a part, whole MiB."""
    if size is None:
        return _PART_UNKNOWN
    needed = -(-size // _PARTS_MOST)
    return max(PART, -(-needed // (1 << 20)) << 20)
