from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from hypersdk.database.moments import from_number, to_number


@given(st.datetimes(timezones=st.just(UTC)))
def test_there_and_back(moment: datetime) -> None:
    assert from_number(to_number(moment)) == moment


@given(st.datetimes(timezones=st.just(UTC)), st.datetimes(timezones=st.just(UTC)))
def test_numbers_sort_as_moments_do(one: datetime, other: datetime) -> None:
    assert (one < other) == (to_number(one) < to_number(other))


def test_of_any_zone_and_of_none() -> None:
    east = timezone(timedelta(hours=2))
    assert to_number(datetime(1970, 1, 1, 2, 0, 1, tzinfo=east)) == 1_000_000
    assert to_number(None) is None
    assert from_number(None) is None
