from __future__ import annotations

import pytest

from hypersdk.conformance.requirements import REQUIREMENTS
from hypersdk.drivers.ports import PARTS
from hypersdk.flows.fleet.aspects import ASPECTS, check_aspect
from hypersdk.flows.fleet.placement import _NEEDS
from hypersdk.model.errors import InvalidInput


def test_they_are_those_of_the_conformance_kit() -> None:
    ours = {f"{part}.{aspect}" for part, found in ASPECTS.items() for aspect in found}
    assert ours == {name for name in REQUIREMENTS if "." in name}
    assert set(ASPECTS) <= set(PARTS)


def test_what_specs_need_is_among_them() -> None:
    for aspect in _NEEDS.values():
        check_aspect(aspect)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("snapshots.memroy", "Did you mean snapshots.memory? There are snapshots.memory,"),
        ("snapshotz", "Did you mean snapshots? There are host, inventory,"),
        ("storage.nothing", "There are host, inventory,"),
        ("", "There are host, inventory,"),
    ],
)
def test_what_is_none_is_refused(name: str, hint: str) -> None:
    with pytest.raises(InvalidInput, match="is no part or aspect of a hypervisor") as caught:
        check_aspect(name)
    assert hint in caught.value.hint
