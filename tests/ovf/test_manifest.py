"""Manifests are read as written by anyone, and garbage is named by its line."""

from __future__ import annotations

import pytest

from hypersdk.model.errors import Damaged, InvalidInput
from hypersdk.ovf import manifest

DIGEST = "ab" * 32


def test_a_round_trip() -> None:
    text = manifest.written({"a.ovf": DIGEST, "b (1).vmdk": "cd" * 32})
    assert text == f"SHA256(a.ovf)= {DIGEST}\nSHA256(b (1).vmdk)= {'cd' * 32}\n"
    assert manifest.read(text) == {
        "a.ovf": ("sha256", DIGEST),
        "b (1).vmdk": ("sha256", "cd" * 32),
    }


@pytest.mark.parametrize(
    "line", [f"SHA256 (a) = {DIGEST}", f"sha256(a)={DIGEST.upper()}", f"SHA-256(a)= {DIGEST}"]
)
def test_other_hands(line: str) -> None:
    assert manifest.read(f"\n{line}\r\n\n") == {"a": ("sha256", DIGEST)}


@pytest.mark.parametrize(
    "line", ["garbage", f"MD9(a)= {DIGEST}", "SHA256(a)= abcd", f"SHA1(a)= {DIGEST}"]
)
def test_what_is_no_digest_is_named(line: str) -> None:
    with pytest.raises(InvalidInput, match="line 2 of the manifest"):
        manifest.read(f"SHA256(z)= {DIGEST}\n{line}\n")


def test_a_file_comes_once() -> None:
    line = f"SHA256(a)= {DIGEST}\n"
    with pytest.raises(InvalidInput, match="twice"):
        manifest.read(line * 2)


def test_a_difference_is_damage() -> None:
    manifest.compare("a", "sha256", DIGEST.upper(), DIGEST)
    with pytest.raises(Damaged, match="a is not what its manifest says"):
        manifest.compare("a", "sha256", "00" * 32, DIGEST)
