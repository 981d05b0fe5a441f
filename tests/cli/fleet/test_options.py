from __future__ import annotations

import pytest

from hypersdk import InstanceFilter, InvalidInput
from hypersdk.cli.fleet.options import Selection, parse_wanted_tag


@pytest.mark.parametrize(
    ("text", "tag"),
    [("site", ("site", None)), ("site=lab", ("site", "lab")), ("a=b=c", ("a", "b=c")),
     ("site=", ("site", ""))],
)  # fmt: skip
def test_tags(text: str, tag: tuple[str, str | None]) -> None:
    assert parse_wanted_tag(text) == tag


@pytest.mark.parametrize("text", ["", "=lab"])
def test_what_is_no_tag(text: str) -> None:
    with pytest.raises(InvalidInput, match="is not a tag"):
        parse_wanted_tag(text)


@pytest.mark.parametrize(
    "selection",
    [
        Selection(InstanceFilter(), names=("web",)),
        Selection(InstanceFilter(owned=False)),
        Selection(InstanceFilter(search="web"), names=("a/*",)),
        Selection(InstanceFilter(), all=True),
    ],
)
def test_something_is_chosen(selection: Selection) -> None:
    selection.check()


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        (Selection(InstanceFilter()), "no instance was chosen"),
        (Selection(InstanceFilter(), everywhere=True), "no instance was chosen"),
        (Selection(InstanceFilter(owned=True), all=True), "--all goes with no names"),
        (Selection(InstanceFilter(), names=("web",), all=True), "--all goes with no names"),
    ],
)
def test_all_is_never_meant_by_accident(selection: Selection, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        selection.check()
