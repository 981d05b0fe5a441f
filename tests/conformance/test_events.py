"""Events are one line each and come out as they went in."""

from __future__ import annotations

import pytest

from hypersdk.conformance.events import (
    CaseEnded,
    Connected,
    Done,
    Event,
    Planned,
    PlannedCase,
    Request,
    Sampled,
    Trouble,
    line,
    parse,
)
from hypersdk.conformance.reports.document import plain, record
from hypersdk.conformance.results import Verdict
from hypersdk.conformance.target import Site
from hypersdk.model.capabilities import Capability, Grade, Limit
from hypersdk.model.errors import InvalidInput
from tests.conformance.strange import HOSTILE, case, host, samples

EVENTS: list[Event] = [
    Connected(
        host(), (Capability("snapshots", Grade.PARTIAL, (Limit("snapshots.memory", "no"),)),)
    ),
    Connected(None, ()),
    Planned((PlannedCase("a.b", "a", "It does."),)),
    CaseEnded(case("a.b", Verdict.FAILED, reason=HOSTILE, trace="line\nline", leaks=("x",))),
    Sampled(samples("create", 0.5)[0]),
    Trouble(HOSTILE),
    Done(),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_they_come_out_as_they_went_in(event: Event) -> None:
    written = line(event)
    assert written.endswith(b"\n")
    assert written.count(b"\n") == 1
    assert parse(written) == event


@pytest.mark.parametrize(
    "raw", [b"", b"noise", b"[]", b'{"event": "Nothing"}', b'{"event": "Trouble"}']
)
def test_anything_else_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidInput):
        parse(raw)


def test_a_request_comes_out_as_it_went_in() -> None:
    request = Request(url="mock://x", site=Site(extra={"a": "b"}), suites=("s",), cases=("c.*",))
    assert record(Request, plain(request)) == request
