"""Encryption of exports, and its undoing."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hypersdk.artifacts.agekeys import make_identity
from hypersdk.cli.hyperexport.exits import Exit
from tests.cli.hyperexport.conftest import Export


@pytest.fixture(autouse=True)
def _word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORD", "correct horse battery")


def test_there_and_back_with_a_passphrase(export: Export, work: Path) -> None:
    line = ("web", "--format", "raw", "--output", "here")
    export(*line)
    export("web", "--format", "raw", "--output", "sealed", "--encrypt", "--passphrase", "env:WORD")
    sealed = work / "sealed" / "web-disk-0.raw.age"
    assert sealed.read_bytes().startswith(b"age-encryption.org/v1\n")
    export("--decrypt", sealed, "--passphrase-from", "env:WORD", "--output", "open", "--json")
    opened = (work / "open" / "web-disk-0.raw").read_bytes()
    assert opened == (work / "here" / "web-disk-0.raw").read_bytes()
    again = export("--decrypt", sealed, "--passphrase", "env:WORD", "--output", "open", expect=12)
    assert "open/web-disk-0.raw" in again.err


def test_there_and_back_with_a_recipient(export: Export, work: Path) -> None:
    secret, public = make_identity()
    (work / "identity").write_text(secret + "\n")
    export("web", "--format", "ova", "--encrypt", "--recipient", public, "--output", "o")
    export("--decrypt", "o/web.ova.age", "--identity", "identity")
    assert (work / "o" / "web.ova").read_bytes()[:7] == b"web.ovf"


def test_a_key_file(export: Export, work: Path) -> None:
    (work / "key").write_text("battery staple\n")
    export("web", "--format", "ova", "--encrypt", "--keyfile", "key", "--output", "o")
    export("--decrypt", "o/web.ova.age", "--keyfile", "key", "--overwrite")


def test_a_wrong_passphrase(export: Export, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export("web", "--format", "ova", "--encrypt", "--passphrase", "env:WORD", "--output", "o")
    monkeypatch.setenv("WORD", "wrong horse")
    line = ("--decrypt", "o/web.ova.age", "--passphrase", "env:WORD")
    result = export(*line, expect=Exit.DENIED)
    assert "wrong horse" not in result.err
    assert not (work / "o" / "web.ova").exists()


def test_files_of_the_original(export: Export, work: Path) -> None:
    key = hashlib.pbkdf2_hmac("sha256", b"test", b"hyperexport-salt", 100_000)
    nonce = bytes(11) + b"\x07"
    record = AESGCM(key).encrypt(nonce, b"content of a disk", None)
    old = nonce + len(record).to_bytes(4, "big") + record
    (work / "web.vmdk.enc").write_bytes(old)
    (work / "key").write_text("test")
    result = export("--decrypt", "web.vmdk.enc", "--keyfile", "key")
    assert (work / "web.vmdk").read_bytes() == b"content of a disk"
    assert "web.vmdk.enc: decrypted to web.vmdk" in result.out
    assert "web.vmdk.enc" in result.err, "the format has no end"


def test_several_files_of_which_one_fails(export: Export, work: Path) -> None:
    export("web", "--format", "ova", "--encrypt", "--passphrase", "env:WORD", "--output", "o")
    (work / "text.txt").write_text("")
    line = ("--decrypt", "o/web.ova.age", "--decrypt", "text.txt", "--passphrase", "env:WORD")
    result = export(*line, "--json", expect=Exit.PARTIAL)
    assert [each["decrypted"] for each in result.json["decrypted"]] == ["o/web.ova"]
    assert "neither in .age nor in .enc" in result.err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (["web", "--encrypt"], "nobody to ask for a passphrase"),
        (["web", "--encrypt", "--passphrase", "hunter2-secret"], "given as a reference"),
        (["web", "--encrypt", "--encrypt-method", "gpg"], "gpg is not used"),
        (["web", "--encrypt", "--encrypt-method", "aes256"], "cannot show that their end"),
        (["web", "--encrypt", "--encrypt-method", "agee"], "Did you mean 'age'?"),
        (["web", "--recipient", "age1x"], "nothing is to be encrypted"),
        (["web", "--encrypt", "--recipient", "age1x", "--keyfile", "k"], "more than one key"),
        (["web", "--encrypt", "--recipient", "age1x"], "recipient"),
        (["web", "--identity", "f"], "--identity goes with --decrypt"),
        (["--decrypt", "f.age", "--recipient", "age1x"], "opens nothing"),
    ],
)
def test_what_makes_no_sense_is_refused(export: Export, line: list[str], words: str) -> None:
    result = export(*line, expect=Exit.USAGE)
    assert words in result.err
    assert "hunter2" not in result.err
    assert base64.b64encode(b"hunter2-secret").decode() not in result.err
