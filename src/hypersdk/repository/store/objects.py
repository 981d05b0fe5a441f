"""A repository in object storage.

Everything goes through obstore, which speaks S3, Azure and GCS alike; what is tested, and
therefore offered, is S3 and what is compatible with it. An upload is one request with
``If-None-Match: *``, so that it is whole, exclusive and durable when it returns.

obstore's own retries are switched off: ``Retrying`` is the one place that tries again. This
module needs the extra ``hypersdk[s3]``; ``open`` says so when it is missing.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from hypersdk.model.errors import InvalidInput, ObjectMissing, StoreError
from hypersdk.repository.store.keys import check_key, check_prefix
from hypersdk.repository.store.objecterrors import store_error
from hypersdk.repository.store.ports import ObjectInfo
from hypersdk.repository.store.ranges import check_range, check_request, too_short

if TYPE_CHECKING:  # names that exist only for type checkers
    from obstore.store import ClientConfig, S3Config

_CONNECT_TIMEOUT = timedelta(seconds=10)
#: Silence after which a connection is given up. It also spans the upload of a pack, so it must
#: leave time for 32 MiB over a line of 1 Mbit/s.
_SILENCE_TIMEOUT = timedelta(minutes=5)
_REQUEST_TIMEOUT = timedelta(minutes=15)


class BucketStore:
    """Objects in a bucket, below a prefix that ``backend`` applies."""

    def __init__(self, url: str, backend: S3Store) -> None:
        self.url = url
        self.latency_bound = True
        self._backend = backend

    def put_if_absent(self, key: str, data: bytes | bytearray | memoryview) -> None:
        check_key(key)
        with self._failures(key, writing=True):
            obstore.put(self._backend, key, data, mode="create", use_multipart=False)

    def get(self, key: str, offset: int = 0, length: int | None = None) -> bytes:
        check_request(offset, length)
        check_key(key)
        if length is None and offset == 0:
            with self._failures(key):
                return bytes(obstore.get(self._backend, key).bytes())
        if length is None:
            _, end = check_range(key, self.stat(key).size, offset, None)
            length = end - offset
        buffer = bytearray(length)
        self.get_into(key, offset, memoryview(buffer))
        return bytes(buffer)

    def get_into(self, key: str, offset: int, buffer: memoryview) -> None:
        length = buffer.nbytes
        check_request(offset, length)
        check_key(key)
        if length == 0:  # no HTTP range says "nothing"
            check_range(key, self.stat(key).size, offset, 0)
            return
        try:
            with self._failures(key):
                found = obstore.get_range(self._backend, key, start=offset, length=length)
        except StoreError as error:
            raise self._explain_range(error, key, offset, length) from error
        if len(found) != length:
            raise too_short(key, offset + len(found), offset, length)
        buffer.cast("B")[:] = memoryview(found)

    def list(self, prefix: str = "") -> Iterator[ObjectInfo]:
        check_prefix(prefix)
        with self._failures(prefix):
            for page in obstore.list(self._backend, prefix or None):
                for found in page:
                    yield ObjectInfo(found["path"], found["size"], found["last_modified"])

    def folders(self, prefix: str = "") -> tuple[str, ...]:
        check_prefix(prefix)
        with self._failures(prefix):
            found = obstore.list_with_delimiter(self._backend, prefix or None)["common_prefixes"]
        return tuple(sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in found))

    def stat(self, key: str) -> ObjectInfo:
        check_key(key)
        with self._failures(key):
            found = obstore.head(self._backend, key)
        return ObjectInfo(key, found["size"], found["last_modified"])

    def delete(self, key: str) -> None:
        check_key(key)
        with contextlib.suppress(ObjectMissing), self._failures(key):
            obstore.delete(self._backend, key)

    def close(self) -> None:
        """obstore closes its idle connections by itself."""

    def _explain_range(self, error: StoreError, key: str, offset: int, length: int) -> StoreError:
        """A range behind the end is refused in many words (416, or text); say it in ours."""
        if type(error) is not StoreError:
            return error
        try:
            size = self.stat(key).size
        except StoreError:
            return error
        try:
            check_range(key, size, offset, length)
        except StoreError as behind:
            return behind
        return error

    @contextlib.contextmanager
    def _failures(self, key: str, *, writing: bool = False) -> Iterator[None]:
        """Turn every failure of obstore in the block into one of our errors."""
        try:
            yield
        except (BaseError, OSError, ValueError) as error:
            raise store_error(error, self.url, key, writing=writing) from error


def s3_store(location: str) -> BucketStore:
    """The store at ``s3://bucket/prefix``.

    Credentials, region and server come from the environment, under the names that every S3
    program reads: ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_SESSION_TOKEN``,
    ``AWS_REGION``, ``AWS_ENDPOINT_URL_S3``, ``AWS_ENDPOINT_URL``. A server is spoken to without
    TLS only when its URL says ``http://``.
    """
    bucket, prefix = split_location(location)
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"
    # One request per deletion: not every compatible server knows the one that deletes many.
    config: S3Config = {"region": region, "disable_bulk_delete": True}
    if endpoint:
        config["endpoint"] = endpoint
    options: ClientConfig = {
        "allow_http": bool(endpoint and endpoint.startswith("http://")),
        "connect_timeout": _CONNECT_TIMEOUT,
        "read_timeout": _SILENCE_TIMEOUT,
        "timeout": _REQUEST_TIMEOUT,
    }
    backend = S3Store(
        bucket,
        prefix=prefix or None,
        config=config,
        client_options=options,
        retry_config={"max_retries": 0},
    )
    return BucketStore(f"s3://{bucket}/{prefix}" if prefix else f"s3://{bucket}", backend)


def split_location(location: str) -> tuple[str, str]:
    """Bucket and prefix of ``s3://bucket/prefix``. Raises InvalidInput."""
    parts = urlsplit(location)
    if "@" in parts.netloc:
        raise InvalidInput(
            "a location holds no credentials",
            hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment.",
        )
    prefix = unquote(parts.path).strip("/")
    if not parts.netloc or parts.query or parts.fragment:
        raise InvalidInput(f"not a bucket: {location}", hint="Write s3://bucket/prefix.")
    if prefix:
        check_key(prefix)
    return parts.netloc, prefix
