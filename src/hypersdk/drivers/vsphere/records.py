"""What a run notes on this machine of what it began, for whoever cleans up when it was killed.

Leases cannot be listed through vSphere's API, so their ids are kept here:
``~/.local/state/hypersdk/vsphere/`` (``XDG_STATE_HOME``), one private file for each.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from hypersdk.datapath.failures import from_os
from hypersdk.drivers.vsphere.owner import Owner


def folder() -> Path:
    """Where records are kept."""
    state = os.environ.get("XDG_STATE_HOME", "")
    base = Path(state) if state.startswith("/") else Path.home() / ".local" / "state"
    return base / "hypersdk" / "vsphere"


@dataclass(frozen=True, slots=True)
class LeaseRecord:
    """A lease that somebody has."""

    #: URL of the connection, without a password.
    url: str
    lease: str
    instance: str
    owner: str
    #: Empty for one that was not written.
    path: str = ""

    @classmethod
    def begin(cls, url: str, lease: str, instance: str) -> LeaseRecord:
        """Raises DataPathError when it cannot be written."""
        path = folder() / f"{os.getpid()}-{secrets.token_hex(8)}.json"
        record = cls(url, lease, instance, str(Owner.this()), str(path))
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                json.dump(asdict(record), file)
        except OSError as error:
            raise from_os(error, path, "write") from error
        return record

    def end(self) -> None:
        """The lease is over."""
        Path(self.path).unlink(missing_ok=True)


def of_the_dead(url: str) -> Iterator[LeaseRecord]:
    """Leases on ``url`` whose run has died."""
    if not folder().is_dir():
        return
    now = datetime.now(UTC)
    for path in sorted(folder().glob("*.json")):
        try:
            fields = json.loads(path.read_text())
            made = datetime.fromtimestamp(path.stat().st_mtime, UTC)
            record = LeaseRecord(**{**fields, "path": str(path)})
        except (OSError, ValueError, TypeError):
            continue  # being written, or just removed
        owner = Owner.parse(record.owner)
        if record.url == url and owner is not None and owner.is_dead(made, now):
            yield record
