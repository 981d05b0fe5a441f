from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.drivers.mock.address import Address
from hypersdk.model.errors import InvalidInput


def test_a_url_is_a_folder_and_what_it_is_to_be_like(tmp_path: Path) -> None:
    found = Address.of(f"mock://{tmp_path}/my%20lab?seed=3&guest_agent=yes")
    assert found.path == tmp_path / "my lab"
    assert (found.config.seed, found.config.guest_agent) == (3, True)
    assert found.query == "seed=3&guest_agent=yes"


@pytest.mark.parametrize("url", ["mock://lab/x", "mock:", "mock:///x#y", "libvirt:///x"])
def test_others_are_refused(url: str) -> None:
    with pytest.raises(InvalidInput, match="three slashes"):
        Address.of(url)
