"""What is sealed is opened by those it was sealed to, by age itself, and by nobody else."""

from __future__ import annotations

import functools
import io
import random
import subprocess
import tracemalloc
from pathlib import Path

import pyrage  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hypersdk.artifacts import agepassphrase
from hypersdk.artifacts.agekeys import make_identity, recipients_of_file
from hypersdk.artifacts.encryption import (
    Opening,
    Seal,
    is_sealed,
    open_file,
    open_stream,
    seal_file,
    seal_stream,
)
from hypersdk.config.secrets import SecretReference
from hypersdk.datapath.cancel import CancelToken
from hypersdk.model.errors import (
    AlreadyExists,
    Damaged,
    DataPathError,
    FormatUnsupported,
    Interrupted,
    InvalidInput,
    KeyRequired,
)
from tests.components import require

CONTENT = random.Random(3).randbytes(300_001)
CHUNK = 64 << 10
SECRET, RECIPIENT = make_identity()
PASSPHRASE = "correct horse"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A passphrase costs 0.4 s on purpose; hundreds of tests of it need not."""
    monkeypatch.setattr(agepassphrase.seal_with_passphrase, "__kwdefaults__", {"work": 4})


@pytest.fixture
def identity(tmp_path: Path) -> Path:
    path = tmp_path / "key.txt"
    path.write_text(f"# created: today\n# public key: {RECIPIENT}\n{SECRET}\n")
    return path


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "web-disk-0.vmdk"
    path.write_bytes(CONTENT)
    return path


SEALS = {"passphrase": Seal(passphrase=PASSPHRASE), "recipients": Seal(recipients=(RECIPIENT,))}


def sealed(content: bytes, seal: Seal) -> bytes:
    output = io.BytesIO()
    seal_stream(io.BytesIO(content), output, seal)
    return output.getvalue()


@functools.cache
def sealed_once(kind: str) -> bytes:
    """Headers are of random length: age adds something to them that readers must pass over."""
    return sealed(CONTENT[:70_000], SEALS[kind])


@pytest.mark.parametrize("kind", SEALS)
def test_a_file_comes_back(disk: Path, identity: Path, kind: str) -> None:
    counted: list[int] = []
    made = seal_file(disk, SEALS[kind], progress=counted.append)
    assert made.name == "web-disk-0.vmdk.age"
    assert sum(counted) == len(CONTENT)
    assert made.stat().st_mode & 0o777 == 0o600
    assert is_sealed(made)
    assert not is_sealed(disk)
    assert CONTENT[:32] not in made.read_bytes()
    opening = Opening(passphrase=PASSPHRASE, identities=(identity,))
    with pytest.raises(AlreadyExists):
        open_file(made, opening)
    disk.unlink()
    assert open_file(made, opening).read_bytes() == CONTENT


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7])
def test_pyrage_opens_what_a_passphrase_seals_and_the_other_way_round(size: int) -> None:
    content = CONTENT[:size]
    seal = SEALS["passphrase"]
    assert pyrage.passphrase.decrypt(sealed(content, seal), PASSPHRASE) == content


def test_what_pyrage_seals_with_a_passphrase_is_opened() -> None:
    output = io.BytesIO()
    opening = Opening(passphrase=PASSPHRASE)
    open_stream(io.BytesIO(pyrage.passphrase.encrypt(CONTENT, PASSPHRASE)), output, opening)
    assert output.getvalue() == CONTENT


def test_age_opens_what_is_sealed_to_recipients(disk: Path, identity: Path) -> None:
    require("age")
    made = seal_file(disk, SEALS["recipients"])
    found = subprocess.run(["age", "-d", "-i", identity, made], capture_output=True, check=True)
    assert found.stdout == CONTENT
    subprocess.run(["age", "-r", RECIPIENT, "-o", disk.with_suffix(".age"), disk], check=True)
    target = disk.with_name("again")
    open_file(disk.with_suffix(".age"), Opening(identities=(identity,)), target=target)
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_ssh_keys_are_recipients_and_identities(disk: Path, tmp_path: Path, kind: str) -> None:
    require("ssh-keygen")
    key = tmp_path / "id"
    command = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(key)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    recipients = recipients_of_file(key.with_suffix(".pub"))
    made = seal_file(disk, Seal(recipients=(*recipients, RECIPIENT)))
    target = disk.with_name("again")
    open_file(made, Opening(identities=(key,)), target=target)
    assert target.read_bytes() == CONTENT


def test_an_ssh_key_with_a_passphrase_says_so(disk: Path, tmp_path: Path) -> None:
    require("ssh-keygen")
    key = tmp_path / "id"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "secret", "-f", str(key)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    made = seal_file(disk, Seal(recipients=recipients_of_file(key.with_suffix(".pub"))))
    with pytest.raises((InvalidInput, KeyRequired)):
        open_file(made, Opening(identities=(key,)), target=tmp_path / "again")


@pytest.mark.parametrize("kind", SEALS)
def test_a_wrong_key_is_said_to_be_one(disk: Path, tmp_path: Path, kind: str) -> None:
    made = seal_file(disk, SEALS[kind])
    other = tmp_path / "other.txt"
    other.write_text(make_identity()[0])
    for opening in (Opening(passphrase="hunter2", identities=(other,)), Opening()):
        with pytest.raises(KeyRequired) as caught:
            open_file(made, opening, target=tmp_path / "again")
        assert caught.value.hint
        assert str(made) in caught.value.message
        assert "hunter2" not in str(caught.value)
    assert not (tmp_path / "again").exists()


@pytest.mark.parametrize("kind", SEALS)
def test_a_cut_is_noticed_and_leaves_nothing(disk: Path, identity: Path, kind: str) -> None:
    made = seal_file(disk, SEALS[kind])
    whole = made.read_bytes()
    payload = len(whole) - len(CONTENT) - 5 * 16
    cuts = [0, 5, 21, 30, 60, payload, payload + CHUNK + 16, payload + 4 * (CHUNK + 16)]
    for cut in [*cuts, len(whole) - 1]:
        made.write_bytes(whole[:cut])
        with pytest.raises(Damaged) as caught:
            open_file(
                made,
                Opening(passphrase=PASSPHRASE, identities=(identity,)),
                target=disk.with_name("again"),
            )
        assert caught.value.hint
    assert {each.name for each in disk.parent.iterdir()} == {disk.name, made.name, identity.name}


@pytest.mark.parametrize("kind", SEALS)
@settings(max_examples=60)
@given(data=st.data())
def test_a_changed_byte_is_noticed(
    kind: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = bytearray(sealed_once(kind))
    at = data.draw(st.one_of(st.integers(0, 250), st.integers(0, len(whole) - 1)))
    whole[at] ^= data.draw(st.integers(1, 255))
    # What is asked of scrypt is bounded; what hypothesis may ask for within it takes too long.
    if kind == "passphrase" and 45 <= at <= 55:
        return
    path = tmp_path_factory.getbasetemp() / "any-identity"
    path.write_text(SECRET)
    opening = Opening(passphrase=PASSPHRASE, identities=(path,))
    with pytest.raises((Damaged, KeyRequired, FormatUnsupported)):
        open_stream(io.BytesIO(bytes(whole)), io.BytesIO(), opening)


@given(st.binary(max_size=300))
def test_any_bytes_are_an_error(content: bytes) -> None:
    for begin in (b"", agepassphrase.INTRODUCTION, agepassphrase.INTRODUCTION + b"-> scrypt "):
        with pytest.raises((Damaged, KeyRequired, FormatUnsupported)):
            open_stream(io.BytesIO(begin + content), io.BytesIO(), Opening(passphrase="x"))


def test_a_header_that_wants_all_memory_is_refused() -> None:
    whole = sealed(b"", SEALS["passphrase"]).replace(b" 4\n", b" 30\n", 1)
    with pytest.raises(FormatUnsupported, match="memory"):
        open_stream(io.BytesIO(whole), io.BytesIO(), Opening(passphrase=PASSPHRASE))


def test_armor_is_named() -> None:
    armored = pyrage.encrypt(b"x", [pyrage.x25519.Recipient.from_str(RECIPIENT)], armored=True)
    with pytest.raises(FormatUnsupported) as caught:
        open_stream(io.BytesIO(armored), io.BytesIO(), Opening())
    assert "age -d" in caught.value.hint


@pytest.mark.parametrize("kind", SEALS)
def test_cancelling_leaves_nothing(disk: Path, kind: str) -> None:
    token = CancelToken()
    with pytest.raises(Interrupted):
        seal_file(disk, SEALS[kind], pace=lambda _: token.cancel(), cancel=token)
    assert list(disk.parent.iterdir()) == [disk]


@pytest.mark.parametrize("kind", SEALS)
def test_what_the_output_raises_passes_through(kind: str) -> None:
    class Full:
        def write(self, data: bytes) -> object:
            raise DataPathError("no space left")

    with pytest.raises(DataPathError, match="no space left"):
        seal_stream(io.BytesIO(CONTENT), Full(), SEALS[kind])


@pytest.mark.parametrize("kind", SEALS)
def test_memory_does_not_grow_with_the_file(kind: str) -> None:
    class Zeros:
        left = 64 << 20

        def read(self, count: int) -> bytes:
            count = min(count, self.left)
            self.left -= count
            return bytes(count)

    class Nowhere:
        size = 0

        def write(self, data: bytes) -> object:
            self.size += len(data)
            return len(data)

    output = Nowhere()
    tracemalloc.start()
    try:
        seal_stream(Zeros(), output, SEALS[kind])
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    assert output.size > 64 << 20


def test_a_seal_is_one_of_the_two() -> None:
    for wrong in ({}, {"passphrase": "a", "recipients": (RECIPIENT,)}, {"passphrase": ""}):
        with pytest.raises(InvalidInput):
            Seal(**wrong)


@pytest.mark.parametrize(
    "recipient", ["age1xyz", "bob", "ssh-ed25519 AAAA", pytest.param(SECRET, id="secret")]
)
def test_recipients_are_checked_before_anything_is_sealed(recipient: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        Seal(recipients=(recipient,)).ready()
    assert caught.value.hint
    assert SECRET not in str(caught.value)


def test_no_secret_is_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert PASSPHRASE not in repr(SEALS["passphrase"])
    assert PASSPHRASE not in repr(Opening(passphrase=PASSPHRASE))
    path = tmp_path / "key.txt"
    path.write_text(SECRET[:-3])
    with pytest.raises(InvalidInput) as caught:
        Opening(identities=(path,)).ready()
    assert SECRET[:30] not in str(caught.value)
    assert caught.value.__cause__ is None


def test_references_are_resolved_once(disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPORT_PASSPHRASE", PASSPHRASE)
    reference = SecretReference.parse("env:EXPORT_PASSPHRASE")
    seal = Seal(passphrase=reference).ready()
    opening = Opening(passphrase=reference).ready()
    monkeypatch.delenv("EXPORT_PASSPHRASE")
    made = seal_file(disk, seal)
    assert open_file(made, opening, target=disk.with_name("again")).read_bytes() == CONTENT
    with pytest.raises(InvalidInput, match="EXPORT_PASSPHRASE is not set"):
        Seal(passphrase=reference).ready()
