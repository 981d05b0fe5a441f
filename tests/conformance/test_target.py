"""What a target can do is told by its methods."""

from __future__ import annotations

import pytest

from hypersdk.conformance.target import (
    Crashes,
    HasDestination,
    HasNic,
    HasStubborn,
    MakesForeign,
    Removes,
)


@pytest.mark.parametrize(
    ("protocol", "method"),
    [
        (MakesForeign, "make_foreign"),
        (Removes, "remove"),
        (Crashes, "crash"),
        (HasStubborn, "stubborn"),
        (HasNic, "nic"),
        (HasDestination, "destination"),
    ],
)
def test_who_has_the_method_can_do_it(protocol: type, method: str) -> None:
    able = type("Able", (), {method: lambda self, name="": None})()
    assert isinstance(able, protocol)
    assert not isinstance(object(), protocol)
