"""``--notify``: tell people how a run ended, whatever way it ended."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hypersdk import HyperSDKError, Interrupted
from hypersdk.cli.terminal import Terminal
from hypersdk.cli.vmsnap.exits import PROGRAM, described
from hypersdk.config.secrets import KINDS, resolve
from hypersdk.observe.notify import notify
from hypersdk.observe.redact import redact_text


@dataclass(slots=True)
class Notice:
    """What is told; the command fills in what it did."""

    body: str = ""


@contextmanager
def told(terminal: Terminal, url: str | None, what: str) -> Iterator[Notice]:
    """Send a notice when the block ends. ``url``: a service of apprise, or a reference to it.

    A notice that cannot be sent is a warning: what was done is done.
    """
    notice = Notice()
    try:
        yield notice
    except Interrupted:
        raise  # by a person who knows
    except HyperSDKError as error:
        if url:
            _send(terminal, url, f"{what} failed", _lines(notice, error), failed=True)
        raise
    if url:
        _send(terminal, url, f"{what} done", notice.body, failed=False)


def _lines(notice: Notice, error: HyperSDKError) -> str:
    document = described(error)
    return "\n".join(filter(None, (str(document["message"]), str(document["hint"]), notice.body)))


def _send(terminal: Terminal, url: str, title: str, body: str, *, failed: bool) -> None:
    host = platform.node()
    try:
        address = resolve(url) if url.partition(":")[0] in KINDS else url
        notify(address, f"{PROGRAM} on {host}: {title}", redact_text(body), failed=failed)
    except HyperSDKError as error:
        terminal.complain(f"warning: {error.message}")
        if error.hint:
            terminal.complain(f"  {error.hint}")
