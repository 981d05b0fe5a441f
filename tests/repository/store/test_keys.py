from __future__ import annotations

import pytest

from hypersdk.model.errors import InvalidInput
from hypersdk.repository.store.keys import check_key, check_prefix
from tests.repository.store.suite import BAD_KEYS, ODD_KEYS


@pytest.mark.parametrize("key", ODD_KEYS)
def test_odd_keys_are_keys(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize("key", BAD_KEYS, ids=ascii)
def test_bad_keys_are_refused_with_the_reason(key: str) -> None:
    with pytest.raises(InvalidInput, match=r"not a valid object name: .*: \S+"):
        check_key(key)


def test_the_root_is_a_prefix_but_no_key() -> None:
    assert check_prefix("") == ""
    assert check_prefix(".hypersdk/tmp") == ".hypersdk/tmp"
