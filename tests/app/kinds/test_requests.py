from __future__ import annotations

import pytest

from hypersdk.app.kinds.requests import answer, asked, reference, refuse, same
from hypersdk.contract.kinds import BackupRequest, GcResult, PruneRequest
from hypersdk.model.errors import InvalidInput


def test_all_problems_at_once_with_the_nearest_names() -> None:
    with pytest.raises(InvalidInput) as caught:
        asked(PruneRequest, {"repositry": "main", "keep": {"dayly": 1}})
    assert "request.repository is missing" in caught.value.message
    assert "there is no field request.repositry" in caught.value.message
    assert "there is no field request.keep.dayly" in caught.value.message
    assert caught.value.hint == "Did you mean daily? Did you mean repository?"


def test_what_is_like_nothing_names_all_fields() -> None:
    with pytest.raises(InvalidInput) as caught:
        asked(PruneRequest, {"repository": "main", "keep": {}, "zzz": 1})
    assert "Known are repository, instance, keep, dry_run." in caught.value.hint


def test_wrong_values_name_their_place() -> None:
    with pytest.raises(InvalidInput, match=r"body\.exclude\[1\]: "):
        asked(BackupRequest, {"repository": "m", "exclude": ["a", 5]}, under="body")


def test_the_same_request_is_the_same_job() -> None:
    first = asked(BackupRequest, {"repository": "m", "instance": "a", "hypervisor": "h"})
    second = asked(
        BackupRequest, {"hypervisor": "h", "instance": "a", "repository": "m", "full": False}
    )
    assert same("backup", first) == same("backup", second)
    assert same("backup", first) != same("export", first)


def test_references() -> None:
    assert reference("", "passphrase") is None
    assert str(reference("env:KEY", "passphrase")) == "env:KEY"
    for text in ("hunter2", "prompt:"):
        with pytest.raises(InvalidInput, match=r"request.passphrase: ") as caught:
            reference(text, "passphrase")
        assert "hunter2" not in str(caught.value)


def test_small_things() -> None:
    assert answer(GcResult(condemned=1))["condemned"] == 1
    refuse(False, "never", "hint")
    with pytest.raises(InvalidInput, match="always"):
        refuse("something", "always", "hint")
