from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from hypersdk.estate.signing import FILE, SigningKey
from hypersdk.model.errors import InvalidInput
from hypersdk.observe.webhooks import signature


def test_the_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: SigningKey.load("", tmp_path / "state"), range(8)))
    assert len({each.key for each in found}) == 1
    path = tmp_path / "state" / FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in path.parent.iterdir()] == [FILE]


def test_a_reference_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOKS", "k" * 40)
    key = SigningKey.load("env:HOOKS", tmp_path)
    assert not list(tmp_path.iterdir())
    assert key == SigningKey.load("env:HOOKS", tmp_path / "other")
    monkeypatch.setenv("HOOKS", "short")
    with pytest.raises(InvalidInput, match="too short"):
        SigningKey.load("env:HOOKS", tmp_path)


def test_secrets_differ_and_the_receivers_library_takes_them() -> None:
    key = SigningKey.random()
    secret = key.secret("wh_1")
    assert secret != key.secret("wh_2")
    assert secret not in repr(key)
    headers = signature(secret, "msg_1", b'{"a":1}')
    assert Webhook(secret).verify(b'{"a":1}', headers) == {"a": 1}


def test_marks_tell_keys_apart() -> None:
    first, second = SigningKey.random(), SigningKey.random()
    assert first.mark == SigningKey(first.key).mark
    assert first.mark != second.mark
