from __future__ import annotations

import os
from pathlib import Path

import pytest

from hypersdk import InvalidInput, generate_identity
from hypersdk.cli.protection import Protection
from hypersdk.cli.terminal import Terminal
from tests.cli.conftest import Stream


def terminal(**environment: str) -> Terminal:
    return Terminal(Stream(), Stream(), Stream(), environment)


@pytest.mark.parametrize(
    "text", ["passphrase=secret", "keyfile", "keyfile=", "none=1", "recipient"]
)
def test_forms_that_are_not_whole(text: str) -> None:
    with pytest.raises(InvalidInput, match="Write it: "):
        Protection.parse(text)


def test_an_unknown_form_names_the_nearest() -> None:
    with pytest.raises(InvalidInput, match="Did you mean 'passphrase'"):
        Protection.parse("passfrase")


def test_every_form_protects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = tmp_path / "key"
    key.write_bytes(os.urandom(32))
    monkeypatch.setenv("ANY_NAME", "from a reference")
    found = [
        Protection.parse("none").protect(terminal(), None),
        Protection.parse("passphrase").protect(terminal(), "env:ANY_NAME"),
        Protection.parse("passphrase").protect(terminal(HYPERSDK_PASSPHRASE="typed"), None),
        Protection.parse(f"keyfile={key}").protect(terminal(), None),
        Protection.parse(f"recipient={generate_identity()[1]}").protect(terminal(), None),
    ]
    assert [each.method for each in found] == [
        "none",
        "passphrase",
        "passphrase",
        "keyfile",
        "recipient",
    ]
    assert [found[1].material, found[2].material] == [b"from a reference", b"typed"]


def test_nobody_to_ask() -> None:
    with pytest.raises(InvalidInput, match="no terminal to ask"):
        Protection("passphrase").protect(terminal(), None)
    with pytest.raises(InvalidInput, match="no terminal to ask"):
        Protection("passphrase").protect(terminal(HYPERSDK_PASSPHRASE="x"), None, variable=False)
