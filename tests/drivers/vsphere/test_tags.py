"""Tags survive what advanced settings do to names and values."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hypersdk.drivers.vsphere import tags


def _kept(found: dict[str, str]) -> dict[str, str]:
    """What vSphere keeps of settings: empty values remove them."""
    return {key: value for key, value in tags.settings(tags.tag_options(found)).items() if value}


@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_any_tags_come_back(found: dict[str, str]) -> None:
    kept = _kept(found)
    assert tags.tags_in(kept) == found
    for key, value in kept.items():
        assert key.isascii()
        assert "=" not in key
        assert key.isprintable()
        assert value.isascii()
        assert value.isprintable()
        assert '"' not in value


def test_plain_tags_are_readable_in_vsphere() -> None:
    assert _kept({"team": "web, EU"}) == {"hypersdk.tag.team": "web, EU"}


def test_empty_and_per_cent_differ() -> None:
    assert tags.tags_in(_kept({"a": "", "b": "%"})) == {"a": "", "b": "%"}


def test_ours_is_told_by_a_mark() -> None:
    assert tags.is_owned(tags.settings(tags.mark_options()))
    assert not tags.is_owned({"hypersdk.owned": "0"})


def test_copies_carry_what_is_ours_and_are_ours() -> None:
    found = {"hypersdk.tag.a": "1", "hypersdk.vcpus-maximum": "4", "nvram": "web.nvram"}
    assert tags.settings(tags.carried(found)) == {
        "hypersdk.tag.a": "1",
        "hypersdk.vcpus-maximum": "4",
        "hypersdk.owned": "1",
    }
