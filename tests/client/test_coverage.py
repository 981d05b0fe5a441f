"""The client calls every route there is, by names that there are."""

from __future__ import annotations

import re
from pathlib import Path

import hypersdk.client
from hypersdk.contract.routes import BY_NAME, ROUTES

#: Routes that no client calls: for browsers, for scrapers, and consoles, which a terminal program
#: or a browser opens by their address.
NOT_CALLED = {
    "get_docs",
    "get_metrics",
    "get_openapi",
    "follow_events",
    "serial_console",
    "vnc_console",
    "send_keys",
    "get_job_kind",
    "whoami",
}
CALLS = re.compile(r'(?:call|stream|_call|pages)\(\s*(?:self\._connection,\s*)?"([a-z_]+)"')


def called() -> set[str]:
    folder = Path(hypersdk.client.__file__).parent
    return {name for file in folder.glob("*.py") for name in CALLS.findall(file.read_text())}


def test_names_are_those_of_the_table() -> None:
    assert called() - set(BY_NAME) == set()


def test_every_route_is_called() -> None:
    versioned = {route.name for route in ROUTES if route.versioned}
    assert versioned - called() - NOT_CALLED == set()
    assert set(BY_NAME) >= NOT_CALLED, "no such routes any more"
