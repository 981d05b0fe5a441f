from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backend
import keyring.backends.fail
import keyring.errors
import pytest

from hypersdk.config.secrets import SECRET_BYTES_MAX, SecretReference, resolve
from hypersdk.model.errors import InvalidInput, MissingRequirement

SECRET = "correct horse é"


class FakeKeyring(keyring.backend.KeyringBackend):
    """A keyring in memory."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        if service == "locked":
            raise keyring.errors.KeyringLocked("it is locked")
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


@pytest.fixture
def fake_keyring() -> Iterator[FakeKeyring]:
    before = keyring.get_keyring()
    fake = FakeKeyring()
    keyring.set_keyring(fake)
    yield fake
    keyring.set_keyring(before)


@pytest.fixture
def secret_file(tmp_path: Path) -> Path:
    path = tmp_path / "secret"
    path.touch(0o600)
    return path


def test_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BACKUP_SECRET", SECRET)
    assert resolve("env:BACKUP_SECRET") == SECRET
    assert resolve(SecretReference("env", "BACKUP_SECRET")) == SECRET


@pytest.mark.parametrize(
    ("content", "secret"),
    [
        (f"{SECRET}\n", SECRET),
        (SECRET, SECRET),
        (f"{SECRET}\r\n", SECRET),
        (f"{SECRET}\n\n", f"{SECRET}\n"),
        (f"  {SECRET} ", f"  {SECRET} "),
    ],
)
def test_from_a_file_less_one_newline(secret_file: Path, content: str, secret: str) -> None:
    secret_file.write_bytes(content.encode())
    assert resolve(f"file:{secret_file}") == secret


def test_a_file_may_be_in_the_home_folder(
    secret_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret_file.write_text(SECRET)
    monkeypatch.setenv("HOME", str(secret_file.parent))
    assert resolve("file:~/secret") == SECRET


def test_a_file_may_be_a_pipe() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"piped\n")
    os.close(writing)
    assert resolve(f"file:/dev/fd/{reading}") == "piped"
    os.close(reading)


def test_a_file_that_all_can_read_is_warned_about(
    secret_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    secret_file.write_text(SECRET)
    with caplog.at_level(logging.WARNING):
        resolve(f"file:{secret_file}")
        assert caplog.text == ""
        secret_file.chmod(0o644)
        assert resolve(f"file:{secret_file}") == SECRET
    assert f"every user of this machine can read {secret_file}" in caplog.text
    assert SECRET not in caplog.text


def test_from_the_keyring(fake_keyring: FakeKeyring) -> None:
    fake_keyring.set_password("backup/lab", "root", SECRET)
    assert resolve("keyring:backup/lab/root") == SECRET


def test_from_the_terminal() -> None:
    questions: list[str] = []

    def ask(question: str) -> str:
        questions.append(question)
        return SECRET

    assert resolve("prompt:", ask=ask) == SECRET
    assert resolve("prompt:Key of the lab", ask=ask) == SECRET
    assert questions == ["Passphrase: ", "Key of the lab: "]


def test_without_a_terminal_there_is_no_question() -> None:
    program = (
        "from hypersdk.config.secrets import resolve\n"
        "from hypersdk.model.errors import InvalidInput\n"
        "try: resolve('prompt:')\n"
        "except InvalidInput as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        text=True,
        start_new_session=True,  # without a controlling terminal, as under cron
    )
    assert done.stdout.startswith("there is no terminal to ask for the secret on\nUse env:NAME")


@pytest.mark.parametrize(
    "plain", ["hunter2-Zq9", "", "hunter2:Zq9", "s3://a:hunter2@b", "ENV:NAME", "vault:hunter2"]
)
def test_a_plain_value_is_refused_and_not_repeated(plain: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        resolve(plain)
    assert "given as a reference\nWrite a reference: env:NAME" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_misspelt_kind_is_recognised() -> None:
    with pytest.raises(InvalidInput, match=r"Did you mean keyring:…\?"):
        resolve("keyrng:x/y")


@pytest.mark.parametrize("reference", ["env:", "file:", "keyring:"])
def test_a_reference_to_nothing_is_refused(reference: str) -> None:
    with pytest.raises(InvalidInput, match="names nothing"):
        resolve(reference)


def test_what_is_missing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fake_keyring: FakeKeyring
) -> None:
    monkeypatch.delenv("NO_SUCH", raising=False)
    with pytest.raises(InvalidInput, match="the environment variable NO_SUCH is not set"):
        resolve("env:NO_SUCH")
    with pytest.raises(InvalidInput, match=r"cannot read the secret file .*: No such file"):
        resolve(f"file:{tmp_path}/none")
    with pytest.raises(InvalidInput, match=r"Is a directory"):
        resolve(f"file:{tmp_path}")
    with pytest.raises(InvalidInput, match="Store it with: keyring set lab root"):
        resolve("keyring:lab/root")
    with pytest.raises(InvalidInput, match="written keyring:SERVICE/USER"):
        resolve("keyring:lab")
    with pytest.raises(InvalidInput, match="it is locked"):
        resolve("keyring:locked/root")


def test_a_machine_without_a_keyring_says_so(fake_keyring: FakeKeyring) -> None:
    keyring.set_keyring(keyring.backends.fail.Keyring())  # type: ignore[no-untyped-call]
    with pytest.raises(MissingRequirement, match="this machine has no keyring"):
        resolve("keyring:lab/root")


def test_a_missing_library_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['keyring'] = None\n"
        "from hypersdk.config.secrets import resolve\n"
        "from hypersdk.model.errors import MissingRequirement\n"
        "try: resolve('keyring:a/b')\n"
        "except MissingRequirement as error: print(error)"
    )
    run = [sys.executable, "-c", program]
    done = subprocess.run(run, check=True, capture_output=True, text=True)
    assert done.stdout.endswith("pip install 'hypersdk[keyring]'\n")


def test_no_secret_is_empty_binary_or_huge(
    secret_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMPTY", "")
    with pytest.raises(InvalidInput, match="the secret env:EMPTY is empty"):
        resolve("env:EMPTY")
    secret_file.write_bytes(b"\n")
    with pytest.raises(InvalidInput, match="is empty"):
        resolve(f"file:{secret_file}")
    secret_file.write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInput, match="is not text"):
        resolve(f"file:{secret_file}")
    secret_file.write_bytes(b"x" * (SECRET_BYTES_MAX + 1))
    with pytest.raises(InvalidInput, match="that is no secret"):
        resolve(f"file:{secret_file}")


def test_a_reference_can_be_printed() -> None:
    assert str(SecretReference.parse("file:/etc/key")) == "file:/etc/key"
    assert str(SecretReference.parse("prompt:")) == "prompt:"
