"""A part that is missing skips whoever asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.conformance.expect import Skipped
from hypersdk.conformance.parts import Parts
from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.drivers.ports import PARTS


@pytest.mark.parametrize("part", PARTS)
def test_each_part_is_there_or_skips(part: str, tmp_path: Path) -> None:
    hypervisor = MockHypervisor(tmp_path)
    found = getattr(hypervisor, part)
    if found is None:
        with pytest.raises(Skipped, match=f"no {part} part"):
            getattr(Parts(hypervisor), part)
    else:
        assert getattr(Parts(hypervisor), part) is found
