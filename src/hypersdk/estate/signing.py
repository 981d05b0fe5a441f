"""Secrets that sign webhooks, made of one key and stored nowhere.

The database holds no secret: that of a webhook is HMAC-SHA256 of its id under the daemon's key,
which is a file beside the database or a reference. Whoever has the key can show it again and sign.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from hypersdk.config.secrets import resolve
from hypersdk.model.errors import InvalidInput

#: In the state folder.
FILE = "webhooks.key"
_BYTES = 32


@dataclass(frozen=True, slots=True)
class SigningKey:
    """Never printed."""

    key: bytes

    def __repr__(self) -> str:
        return "SigningKey(…)"

    @classmethod
    def random(cls) -> SigningKey:
        """For one process; what it signs nobody can check afterwards."""
        return cls(secrets.token_bytes(_BYTES))

    @classmethod
    def load(cls, reference: str, state_dir: Path) -> SigningKey:
        """What ``reference`` names, else the file in ``state_dir``, which is made when it is not
        there. Raises InvalidInput."""
        if reference:
            return cls._of(resolve(reference))
        path = state_dir / FILE
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
            _make(path)
        except OSError as error:
            raise InvalidInput(
                f"the key of webhooks {path} cannot be made: {error.strerror}",
                hint="Name another state_dir, or a reference: webhooks_key: file:PATH",
            ) from error
        return cls._of(resolve(f"file:{path}"))

    @classmethod
    def _of(cls, text: str) -> SigningKey:
        if len(text) < _BYTES:
            raise InvalidInput(
                "the key of webhooks is too short",
                hint="Make one with: openssl rand -base64 32 > webhooks.key",
            )
        return cls(hashlib.sha256(text.encode()).digest())

    def secret(self, webhook: str) -> str:
        """``whsec_…`` of a webhook by its id."""
        made = hmac.new(self.key, f"webhook:{webhook}".encode(), hashlib.sha256).digest()
        return f"whsec_{base64.b64encode(made).decode()}"

    @property
    def mark(self) -> str:
        """Tells keys apart, and nothing else: a webhook made under another one cannot be signed."""
        return hmac.new(self.key, b"mark", hashlib.sha256).hexdigest()[:16]


def _make(path: Path) -> None:
    """Once, also when two processes begin at the same time: whoever is second keeps the first's."""
    if path.exists():
        return
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(base64.b64encode(secrets.token_bytes(_BYTES)).decode() + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(unfinished, path)
        except FileExistsError:
            return
    finally:
        unfinished.unlink()
