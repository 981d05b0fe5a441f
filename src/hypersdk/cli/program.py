"""From the operating system to a command and back."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from hypersdk.cli.interrupts import handled, interrupt
from hypersdk.cli.terminal import Terminal


def run_program(run: Callable[[list[str], Terminal], int]) -> NoReturn:
    """Run a command on this process' arguments and streams, and end with its status."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that the locale cannot write must not stop a backup.
            stream.reconfigure(errors="backslashreplace")
    terminal = Terminal(sys.stdin, sys.stdout, sys.stderr, os.environ)
    with handled(interrupt):
        status = run(sys.argv[1:], terminal)
    sys.exit(status)
