"""Files of the original are opened; what its format cannot tell is said."""

from __future__ import annotations

import io
import logging
import random
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given, settings
from hypothesis import strategies as st

from hypersdk.artifacts.legacyenc import (
    CHUNK,
    TAG,
    legacy_key,
    open_legacy_file,
    open_legacy_stream,
)
from hypersdk.model.errors import Damaged, FormatUnsupported, HyperSDKError, KeyRequired
from tests.components import require

NONCE = bytes(11) + b"\xff"
CONTENT = random.Random(4).randbytes(2 * CHUNK + 17)


def encrypted(
    content: bytes, passphrase: str = "test", nonce: bytes = bytes(11) + b"\xff"
) -> bytes:
    """As the original writes it."""
    cipher = AESGCM(legacy_key(passphrase))
    output = bytearray(nonce)
    count = int.from_bytes(nonce, "big")
    for at in range(0, len(content), CHUNK):
        record = cipher.encrypt(count.to_bytes(12, "big"), content[at : at + CHUNK], None)
        output += len(record).to_bytes(4, "big") + record
        count = (count + 1) % (1 << 96)
    return bytes(output)


WHOLE = encrypted(CONTENT)


def read(data: bytes, passphrase: str = "test") -> bytes:
    output = io.BytesIO()
    assert open_legacy_stream(io.BytesIO(data), output, passphrase) == len(output.getvalue())
    return output.getvalue()


def test_the_key_is_that_of_the_original() -> None:
    expected = "82f8d91e813fcfabd5502ccb0997c0fe6a1932d2deeeefb769e325c91173c306"
    assert legacy_key("test").hex() == expected


@pytest.mark.parametrize("size", [0, 1, CHUNK, len(CONTENT)])
def test_content_comes_back(size: int) -> None:
    assert read(encrypted(CONTENT[:size])) == CONTENT[:size]


def test_the_nonce_wraps() -> None:
    assert read(encrypted(CONTENT, nonce=b"\xff" * 12)) == CONTENT


def test_a_key_file_may_end_in_a_line_break() -> None:
    """A reference ``file:`` gives a file's text without the last one; the original took it."""
    assert read(encrypted(CONTENT, "key of a file\n"), "key of a file") == CONTENT
    assert read(encrypted(CONTENT, "key of a file"), "key of a file\n") == CONTENT


def test_a_wrong_passphrase_is_said_to_be_one() -> None:
    with pytest.raises(KeyRequired) as caught:
        read(WHOLE, "hunter2")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("cut", [0, 5, 13, 15, 16, 500, 12 + 4 + CHUNK + TAG + 2, len(WHOLE) - 1])
def test_a_cut_within_a_record_is_damage(cut: int) -> None:
    with pytest.raises(Damaged):
        read(WHOLE[:cut])


def test_a_changed_record_is_damage() -> None:
    changed = bytearray(WHOLE)
    changed[-20] ^= 1
    with pytest.raises(Damaged, match=f"damaged {2 * CHUNK} bytes into"):
        read(bytes(changed))


def test_records_in_another_order_are_damage() -> None:
    size = 4 + CHUNK + TAG
    begin, body = WHOLE[:12], WHOLE[12:]
    first, second, rest = body[:size], body[size : 2 * size], body[2 * size :]
    with pytest.raises(HyperSDKError):
        read(begin + second + first + rest)
    with pytest.raises(Damaged):
        read(begin + first + rest)


def test_a_file_is_opened_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "web-disk-0.vmdk.enc"
    path.write_bytes(WHOLE)
    with caplog.at_level(logging.WARNING):
        assert open_legacy_file(path, "test").read_bytes() == CONTENT
    assert "compare the content with a checksum" in caplog.text
    (tmp_path / "web-disk-0.vmdk").unlink()
    path.write_bytes(WHOLE[:-1])
    with pytest.raises(Damaged, match=r"web-disk-0\.vmdk\.enc"):
        open_legacy_file(path, "test")
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_of_gpg_is_named(tmp_path: Path) -> None:
    require("gpg")
    home = tmp_path / "gnupg"
    home.mkdir(mode=0o700)
    for flags in ([], ["--armor"]):
        command = ["gpg", "--homedir", str(home), "--batch", "--pinentry-mode", "loopback"]
        command += ["--passphrase-fd", "0", "--symmetric", *flags, "-o", str(tmp_path / "a.enc")]
        (tmp_path / "a").write_bytes(CONTENT)
        subprocess.run([*command, str(tmp_path / "a")], input=b"x\n", check=True)
        with pytest.raises(FormatUnsupported) as caught:
            open_legacy_file(tmp_path / "a.enc", "x", target=tmp_path / "b")
        assert "gpg -d" in caught.value.hint
        (tmp_path / "a.enc").unlink()
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)


@settings(max_examples=50)
@given(st.binary(max_size=100))
def test_any_bytes_are_an_error_or_nothing(data: bytes) -> None:
    try:
        assert read(data) == b""
    except HyperSDKError:
        return
