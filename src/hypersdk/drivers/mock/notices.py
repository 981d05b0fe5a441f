"""The file by which processes tell each other what happened to instances.

``hypervisor.events`` gets a line of JSON for each event. When it has become long a new one is
begun; who reads the old one to its end and finds another file under the name goes on there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypersdk.drivers.mock.locks import locked
from hypersdk.model.instances import EventKind, InstanceState

#: Bytes after which a new file is begun.
LONG = 4 << 20
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Notice:
    """One line."""

    kind: EventKind
    id: str
    name: str
    state: InstanceState
    #: Seconds since the epoch, by the hypervisor's clock.
    time: float
    detail: str = ""

    def encode(self) -> bytes:
        content = {
            "kind": self.kind.value,
            "id": self.id,
            "name": self.name,
            "state": self.state.value,
            "time": self.time,
            "detail": self.detail,
        }
        return json.dumps(content).encode() + b"\n"

    @classmethod
    def decode(cls, line: bytes) -> Notice:
        raw: dict[str, Any] = json.loads(line)
        kind, state = EventKind(raw["kind"]), InstanceState(raw["state"])
        return cls(kind, raw["id"], raw["name"], state, raw["time"], raw["detail"])


def announce(root: Path, notice: Notice) -> None:
    """Tell whoever follows."""
    path = root / "hypervisor.events"
    lock = root / "hypervisor.events.lock"
    lock.touch(mode=0o600)
    with locked(lock):
        descriptor = os.open(path, _FLAGS, 0o600)
        try:
            if os.fstat(descriptor).st_size > LONG:
                os.close(descriptor)
                path.unlink()
                descriptor = os.open(path, _FLAGS, 0o600)
            os.write(descriptor, notice.encode())
        finally:
            os.close(descriptor)


class Reader:
    """Gives the notices that come after it was made. For one thread at a time."""

    def __init__(self, root: Path) -> None:
        self._path = root / "hypervisor.events"
        self._rest = b""
        self._file = self._open()
        os.lseek(self._file, 0, os.SEEK_END)

    def read(self) -> Iterator[Notice]:
        """All that have arrived since. Raises FileNotFoundError when the hypervisor is gone."""
        moved = not os.path.samestat(os.fstat(self._file), os.stat(self._path))
        while data := os.read(self._file, 1 << 16):
            *lines, self._rest = (self._rest + data).split(b"\n")
            yield from map(Notice.decode, lines)
        if moved:  # looked at before reading: nothing is added to the old one afterwards
            os.close(self._file)
            self._file = self._open()
            yield from self.read()

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _open(self) -> int:
        return os.open(self._path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
