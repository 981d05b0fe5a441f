"""One file of a multipart form, written to its place as it comes."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from python_multipart import MultipartParser
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import parse_options_header

from hypersdk.datapath.failures import from_os
from hypersdk.datapath.publish import check_target, partial_name, publish
from hypersdk.model.errors import InvalidInput, TooLarge

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

#: Bytes of the headers of a part.
_HEADERS_MOST = 16 << 10


class Upload:
    """Not for several threads at once."""

    def __init__(
        self, content_type: str, part: str, place: Callable[[str], Path], *, most: int
    ) -> None:
        """``part``: name of the part that is wanted; others are not allowed. ``place``: where a
        file of a name goes; it may raise. ``most``: bytes. Raises InvalidInput."""
        self._part = part
        self._place = place
        self._most = most
        self._headers: dict[str, str] = {}
        self._name, self._value = bytearray(), bytearray()
        self._descriptor: int | None = None
        self._target: Path | None = None
        self._temporary: Path | None = None
        self._whole = False
        #: Bytes of the file so far.
        self.size = 0
        self._parser = MultipartParser(_boundary(content_type), self._callbacks())

    def take(self, data: bytes) -> None:
        """The next bytes of the form. Raises InvalidInput, AlreadyExists, TooLarge,
        DataPathError."""
        try:
            self._parser.write(data)
        except MultipartParseError as error:
            raise InvalidInput(f"the form cannot be read: {error}", hint=_HINT) from error

    def finish(self) -> Path:
        """Give the file its name. Raises InvalidInput for a form that ends too early."""
        if self._target is None or self._temporary is None or self._descriptor is None:
            raise InvalidInput(f"the form has no file '{self._part}'", hint=_HINT)
        if not self._whole:
            raise InvalidInput(
                f"the form ended after {self.size} bytes of the file", hint="Send it again."
            )
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise from_os(error, self._target, "write") from error
        finally:
            os.close(self._descriptor)
            self._descriptor = None
        publish(self._temporary, self._target, overwrite=False)
        self._temporary = None
        return self._target

    def discard(self) -> None:
        """Remove what is not complete; after `finish` there is nothing."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        if self._temporary is not None:
            self._temporary.unlink(missing_ok=True)
            self._temporary = None

    def _callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._header_name,
            "on_header_value": self._header_value,
            "on_header_end": self._header_end,
            "on_headers_finished": self._open,
            "on_part_data": self._write,
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._headers = {}

    def _header_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]
        self._bound()

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]
        self._bound()

    def _bound(self) -> None:
        if len(self._name) + len(self._value) > _HEADERS_MOST:
            raise InvalidInput("the headers of the form are too long", hint=_HINT)

    def _header_end(self) -> None:
        self._headers[self._name.decode("latin-1").lower()] = self._value.decode("latin-1")
        self._name.clear()
        self._value.clear()

    def _open(self) -> None:
        _, options = parse_options_header(self._headers.get("content-disposition", ""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        if name != self._part or self._target is not None:
            raise InvalidInput(f"the form has a part '{name[:80]}' too many", hint=_HINT)
        # Some clients send the whole path of the file.
        file = options.get(b"filename", b"").decode("utf-8", "replace")
        target = self._place(file.replace("\\", "/").rpartition("/")[2])
        try:
            target.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            check_target(target, overwrite=False)
            self._temporary = partial_name(target)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            # Hypervisors run under accounts of their own and read it.
            self._descriptor = os.open(self._temporary, flags, 0o644)
        except OSError as error:
            raise from_os(error, target, "create") from error
        self._target = target

    def _write(self, data: bytes, start: int, end: int) -> None:
        if self._descriptor is None or self._target is None:
            raise InvalidInput("the form has content outside of its file", hint=_HINT)
        self.size += end - start
        if self.size > self._most:
            raise TooLarge(
                f"the file has more than the {self._most} bytes that may be uploaded",
                hint="Copy it to the daemon's folder by other means.",
            )
        rest = memoryview(data)[start:end]
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            raise from_os(error, self._target, "write") from error

    def _end(self) -> None:
        self._whole = True


_HINT = "Send multipart/form-data with one file: curl -F iso=@debian.iso URL"


def _boundary(content_type: str) -> bytes:
    kind, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if kind != b"multipart/form-data" or not 0 < len(boundary) <= 200:
        raise InvalidInput("the body is no form", hint=_HINT)
    return bytes(boundary)
