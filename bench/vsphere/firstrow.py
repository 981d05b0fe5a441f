"""How long a command takes until the first row is on a terminal.

Usage: ``python -m bench.vsphere.firstrow TEXT PROGRAM ARGUMENTS…``. The program is started on a
pseudo terminal, and ended when TEXT was on it. Prints one JSON object with ``first``, seconds.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import sys
import termios
import time
from json import dumps

_LINES, _COLUMNS = 40, 120
#: Seconds after which there will be no row.
_LONGEST = 120


def first_row(text: bytes, command: list[str]) -> float:
    """Seconds from the start of ``command`` until ``text`` is on its terminal.

    Raises RuntimeError when it ends, or says nothing, before.
    """
    environment = {**os.environ, "TERM": "xterm-256color"}
    begun = time.perf_counter()
    child, terminal = os.forkpty()
    if child == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", _LINES, _COLUMNS, 0, 0))
        os.execvpe(command[0], command, environment)  # noqa: S606 - the command is measured as it is
    try:
        return _seen(terminal, text, begun)
    finally:
        os.kill(child, signal.SIGKILL)  # it may have ended; until it is waited for it is there
        os.waitpid(child, 0)
        os.close(terminal)


def _seen(terminal: int, text: bytes, begun: float) -> float:
    shown = b""
    while select.select([terminal], [], [], _LONGEST)[0]:
        try:
            shown += os.read(terminal, 1 << 16)
        except OSError:  # a terminal whose last program ended
            break
        if text in shown:
            return time.perf_counter() - begun
    raise RuntimeError(f"no row; on the terminal was: {shown[-1000:]!r}")


if __name__ == "__main__":
    print(dumps({"first": first_row(sys.argv[1].encode(), sys.argv[2:])}))  # noqa: T201 - the result
