"""Wall clocks that jump, for whole processes: a small library is loaded before the C library."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

from tests.components import require

_SOURCE = Path(__file__).with_name("clock.c")


class Clock:
    """The processes that have its `variables` see the time plus what was set last."""

    def __init__(self, folder: Path) -> None:
        require("cc")
        folder.mkdir(parents=True, exist_ok=True)
        self._ahead = folder / "ahead"
        self._library = folder / "clock.so"
        self.set(0)
        words = ["cc", "-shared", "-fPIC", "-O1", "-o", str(self._library), str(_SOURCE), "-ldl"]
        subprocess.run(words, check=True)

    def set(self, seconds: int) -> None:
        """Jump: so many seconds ahead of the machine's clock, or behind it."""
        with self._ahead.open("r+b" if self._ahead.exists() else "wb") as file:
            file.write(struct.pack("=q", seconds))

    @property
    def variables(self) -> dict[str, str]:
        """Of the processes."""
        return {"LD_PRELOAD": str(self._library), "CLOCK_AHEAD": str(self._ahead)}
