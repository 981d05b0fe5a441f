"""The forms of a submission."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter, ValidationError

from hypersdk.contract.jobs import NewJobRecord, NewJobsRecord, Submission

_ONE = {"kind": "gc", "request": {}}
adapter: TypeAdapter[object] = TypeAdapter(Submission)


def test_the_form_decides_what_is_meant() -> None:
    assert isinstance(adapter.validate_python(_ONE), NewJobRecord)
    assert isinstance(adapter.validate_python({"jobs": [_ONE]}), NewJobsRecord)
    assert isinstance(adapter.validate_python([_ONE, _ONE]), list)


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({"kind": "gc"}, ("(one)", "request")),
        ({"jobs": [_ONE], "kind": "gc"}, ("(jobs)", "kind")),
        ([_ONE, {"request": {}}], ("(list)", 1, "kind")),
        ([], ("(list)",)),
        ({"jobs": []}, ("(jobs)", "jobs")),
    ],
)
def test_what_is_wrong_is_said_of_that_form(body: object, place: tuple[object, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        adapter.validate_python(body)
    assert [error["loc"] for error in caught.value.errors()] == [place]
