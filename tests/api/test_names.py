"""Paths of fields, and what was meant."""

from __future__ import annotations

import pytest

from hypersdk.api.names import fields_at, nearest, path_of
from hypersdk.contract.instances import NewInstanceRecord
from hypersdk.contract.jobs import Submission


@pytest.mark.parametrize(
    ("place", "path"),
    [
        (("body", "jobs", 0, "request"), "body.jobs[0].request"),
        (("body", "(list)", 3, "kind"), "body[3].kind"),
        (("query", "limit"), "query.limit"),
        ((), ""),
    ],
)
def test_paths(place: tuple[str | int, ...], path: str) -> None:
    assert path_of(place) == path


def test_fields_deep_inside() -> None:
    assert "size" in fields_at(NewInstanceRecord, ("disks", 0))
    assert "hostname" in fields_at(NewInstanceRecord, ("cloud_init",))
    assert "attempts" in fields_at(Submission, ("(jobs)", "jobs", 2, "retry"))
    assert fields_at(NewInstanceRecord, ("tags", "x")) == ()
    assert fields_at(None, ("x",)) == ()


def test_the_nearest() -> None:
    assert nearest("priorty", ["priority", "kind"]) == "priority"
    assert nearest("zzz", ["priority", "kind"]) == ""
