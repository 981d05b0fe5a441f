"""Who may open a sealed file: age's recipients and identities, as text and from files.

A recipient is public: ``age1…`` or the line of an SSH public key (``ssh-ed25519``, ``ssh-rsa``). An
identity is its secret half: a file of ``AGE-SECRET-KEY-1…`` lines, as ``age-keygen`` writes it, or
an SSH private key without a passphrase. No message repeats what an identity file holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from hypersdk.artifacts.newfile import opened
from hypersdk.model.errors import InvalidInput, MissingRequirement

#: Bytes; a file of a hundred keys has a tenth of it.
_MOST = 1 << 20
_HINT = "A recipient is written age1… (age-keygen makes one) or ssh-ed25519 AAAA…"
_IDENTITY_BEGIN = "AGE-SECRET-KEY-"


def read_recipients(texts: Iterable[str]) -> list[Any]:
    """In the library's form. Raises InvalidInput for what is none, MissingRequirement."""
    return [_recipient(text.strip()) for text in texts]


def recipients_of_file(path: Path) -> tuple[str, ...]:
    """The recipients in a file, one a line, ``#`` before comments; as ``age -R`` takes it."""
    lines = [line.strip() for line in _text(path).splitlines()]
    found = tuple(line for line in lines if line and not line.startswith("#"))
    if not found:
        raise InvalidInput(f"{path} names no recipients", hint=_HINT)
    read_recipients(found)
    return found


def read_identities(paths: Sequence[Path]) -> list[Any]:
    """Of all files, in the library's form. Raises NotFound, InvalidInput, MissingRequirement."""
    return [identity for path in paths for identity in _identities(path)]


def make_identity() -> tuple[str, str]:
    """A new pair: the secret line of an identity file, and the recipient to seal to."""
    identity = pyrage().x25519.Identity.generate()
    return str(identity), str(identity.to_public())


def pyrage() -> Any:
    """The library, which has no types. Raises MissingRequirement."""
    try:
        import pyrage as library  # type: ignore[import-untyped] # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise MissingRequirement(
            "sealing files to recipients needs the library pyrage",
            hint="Install it with: pip install 'hypersdk[export]', or seal with a passphrase.",
        ) from error
    return library


def _recipient(text: str) -> Any:
    library = pyrage()
    if text.upper().startswith(_IDENTITY_BEGIN):
        raise InvalidInput(
            "a secret key was given as the recipient",
            hint="Give its public half, age1…: age-keygen -y FILE prints it.",
        )
    try:
        if text.startswith("ssh-"):
            return library.ssh.Recipient.from_str(text)
        return library.x25519.Recipient.from_str(text)
    except library.RecipientError as error:
        raise InvalidInput(f"'{text[:80]}' is no recipient", hint=_HINT) from error


def _identities(path: Path) -> list[Any]:
    library = pyrage()
    text = _text(path)
    if "PRIVATE KEY-----" in text:
        try:
            return [library.ssh.Identity.from_buffer(text.encode())]
        except library.IdentityError as error:
            raise InvalidInput(
                f"{path} is an SSH key that cannot be used: {_reason(error)}",
                hint="Keys with a passphrase cannot be read; take it off a copy: ssh-keygen -p -f",
            ) from error
    lines = [line.strip() for line in text.splitlines()]
    secrets = [line for line in lines if line and not line.startswith("#")]
    try:
        found = [library.x25519.Identity.from_str(line) for line in secrets]
    except library.IdentityError:
        # Without its cause: that may repeat the line.
        raise _no_identity(path) from None
    if not found:
        raise _no_identity(path)
    return found


def _no_identity(path: Path) -> InvalidInput:
    return InvalidInput(
        f"{path} holds no identity",
        hint="Give a file that age-keygen made, or an SSH private key without a passphrase.",
    )


def _reason(error: Exception) -> str:
    return re.sub(r"[^\w .,:'()-]", "", str(error))[:120] or "no reason given"


def _text(path: Path) -> str:
    with opened(path) as file:
        content = file.read(_MOST + 1)
    if len(content) > _MOST:
        raise InvalidInput(f"{path} is too long for a file of keys")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is no file of keys") from None
