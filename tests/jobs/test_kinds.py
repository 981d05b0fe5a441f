from __future__ import annotations

import pytest

from hypersdk.model.errors import InvalidInput
from tests.jobs.lab import known


def test_a_kind_that_is_not_there_is_told_with_the_nearest() -> None:
    assert known()["sleep"].name == "sleep"
    with pytest.raises(InvalidInput, match="'slep'") as caught:
        known()["slep"]
    assert "Did you mean sleep?" in caught.value.hint
