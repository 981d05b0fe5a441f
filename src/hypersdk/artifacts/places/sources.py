"""What is brought to a place: names that stay below it, content that is counted and digested."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

from hypersdk.artifacts.newfile import opened
from hypersdk.artifacts.streams import STEP, Readable, Told, Watched, ignore
from hypersdk.datapath.cancel import CancelToken
from hypersdk.model.errors import DataPathError, InvalidInput

#: Bytes of a part of a name, on Linux; of a whole one, on S3.
_PART_MOST, _NAME_MOST = 255, 900
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\\]")
#: What unfinished files end in.
PARTIAL = ".partial"


def checked_name(name: str) -> str:
    """Raises InvalidInput for a name that could leave the place or fits no place."""
    parts = name.split("/")
    hostile = _FORBIDDEN.search(name) or any(part in {"", ".", ".."} for part in parts)
    if hostile or max(len(part.encode()) for part in parts) > _PART_MOST:
        raise InvalidInput(f"a place cannot hold a file called {name[:120]!r}")
    if len(name.encode()) > _NAME_MOST:
        raise InvalidInput(f"a place cannot hold a file with a name of {len(name)} letters")
    return name


class Sending:
    """The content of one file on its way: watched, counted, digested."""

    def __init__(self, watched: Watched, size: int | None, name: str) -> None:
        self._watched = watched
        self._digest = hashlib.sha256()
        self._name = name
        #: Bytes that are expected; None where nobody knows.
        self.size = size

    @property
    def count(self) -> int:
        """Bytes so far."""
        return self._watched.count

    def read(self, count: int = STEP, /) -> bytes:
        data = self._watched.read(count)
        self._digest.update(data)
        if self.size is not None and (self.count > self.size or (not data and self._short())):
            raise DataPathError(
                f"{self._name} has {'more' if data else 'fewer'} than the {self.size} bytes "
                "that were announced",
                hint="It changed while it was read: bring it again.",
            )
        return data

    def _short(self) -> bool:
        return self.size is not None and self.count < self.size

    def pieces(self, step: int) -> Iterator[bytes]:
        """Pieces of exactly ``step`` bytes, the last one shorter."""
        while data := self.exactly(step):
            yield data

    def exactly(self, count: int) -> bytes:
        """``count`` bytes, fewer only at the end."""
        data = self.read(count)
        while 0 < len(data) < count and (more := self.read(count - len(data))):
            data += more
        return data

    @property
    def sha256(self) -> str:
        """Of what was read so far."""
        return self._digest.hexdigest()


@contextlib.contextmanager
def sending(
    source: Path | Readable,
    name: str,
    *,
    size: int | None = None,
    progress: Told = ignore,
    pace: Told = ignore,
    cancel: CancelToken | None = None,
) -> Iterator[Sending]:
    """A file or a stream as it is sent."""
    if isinstance(source, Path):
        with opened(source) as file:
            found = source.stat().st_size
            watched = Watched(file, progress=progress, pace=pace, cancel=cancel)
            yield Sending(watched, found if size is None else size, str(source))
    else:
        watched = Watched(source, progress=progress, pace=pace, cancel=cancel)
        yield Sending(watched, size, name)
