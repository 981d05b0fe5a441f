"""References to secrets, and how one becomes the secret.

Secrets never stand in arguments, settings or job records, which others can see (``ps``, logs, the
shell's history); what stands there is a reference, resolved when the secret is used:

==============================  ====================================================
``env:NAME``                    the environment variable NAME
``file:PATH``                   the content of a file, less one newline at its end
``keyring:SERVICE/USER``        the desktop's or server's keyring (``hypersdk[keyring]``)
``prompt:`` or ``prompt:TEXT``  asked on the terminal, not shown
==============================  ====================================================

No error of this module repeats what it was given: it may be a secret put in the wrong place.
"""

from __future__ import annotations

import contextlib
import getpass
import logging
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from hypersdk.config.documents import write_privately
from hypersdk.model.errors import InvalidInput, MissingRequirement

_log = logging.getLogger(__name__)

#: Bytes; a secret is short, and ``file:`` must not read a disk by mistake.
SECRET_BYTES_MAX = 64 << 10
KINDS = ("env", "file", "keyring", "prompt")
_HINT = "Write a reference: env:NAME, file:PATH, keyring:SERVICE/USER or prompt:"


@dataclass(frozen=True, slots=True)
class SecretReference:
    """Where a secret is kept; safe to print."""

    #: One of ``KINDS``.
    kind: str
    #: What follows the colon.
    place: str

    @classmethod
    def parse(cls, text: str) -> SecretReference:
        """Raises InvalidInput for a plain value, without repeating it."""
        kind, colon, place = text.partition(":")
        if kind in KINDS and colon:
            if not place and kind != "prompt":
                raise InvalidInput(f"the reference {kind}: names nothing", hint=_HINT)
            return cls(kind, place)
        # Only a word this close to a kind is safe to take for a misspelt one.
        near = get_close_matches(kind, KINDS, n=1, cutoff=0.75) if colon else []
        meant = f"Did you mean {near[0]}:…? " if near else ""
        raise InvalidInput("a secret must be given as a reference", hint=meant + _HINT)

    def __str__(self) -> str:
        return f"{self.kind}:{self.place}"


def ask_on_terminal(question: str) -> str:
    """Ask without echo. Raises InvalidInput when there is no terminal (cron, a pipe)."""
    try:
        terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
    except OSError:
        raise InvalidInput(
            "there is no terminal to ask for the secret on",
            hint="Use env:NAME, file:PATH or keyring:SERVICE/USER instead of prompt:",
        ) from None
    os.close(terminal)
    return getpass.getpass(question)


def resolve(
    reference: str | SecretReference, *, ask: Callable[[str], str] = ask_on_terminal
) -> str:
    """The secret that a reference names.

    Raises InvalidInput when there is none or it is empty, MissingRequirement when the keyring
    library or a keyring is missing.
    """
    if isinstance(reference, str):
        reference = SecretReference.parse(reference)
    place = reference.place
    if reference.kind == "env":
        secret = _from_environment(place)
    elif reference.kind == "file":
        secret = _from_file(place)
    elif reference.kind == "keyring":
        secret = _from_keyring(place)
    else:
        secret = ask(f"{place or 'Passphrase'}: ")
    if not secret:
        raise InvalidInput(f"the secret {reference} is empty")
    return secret


def _from_environment(name: str) -> str:
    if name not in os.environ:
        raise InvalidInput(
            f"the environment variable {name} is not set",
            hint=f"Set it for this command, or use another reference than env:{name}.",
        )
    return os.environ[name]


def _from_file(path: str) -> str:
    path = os.path.expanduser(path)
    try:
        with open(path, "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(SECRET_BYTES_MAX + 1)
    except OSError as error:
        raise InvalidInput(f"cannot read the secret file {path}: {error.strerror}") from error
    if len(content) > SECRET_BYTES_MAX:
        raise InvalidInput(f"{path} is longer than {SECRET_BYTES_MAX} bytes; that is no secret")
    if stat.S_ISREG(mode) and mode & stat.S_IROTH:
        # Not refused: container runtimes mount secrets as 0444 and know what they do.
        _log.warning("every user of this machine can read %s; chmod 600 it", path)
    try:
        text = content.decode()
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is not text in UTF-8") from None
    return text.removesuffix("\n").removesuffix("\r")


def _from_keyring(place: str) -> str:
    service, slash, user = place.rpartition("/")
    if not (service and slash and user):
        raise InvalidInput("a keyring reference is written keyring:SERVICE/USER")
    try:
        import keyring  # noqa: PLC0415 - an extra
        import keyring.errors  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise MissingRequirement(
            "keyring: references need the library keyring",
            hint="Install it with: pip install 'hypersdk[keyring]'",
        ) from error
    try:
        secret = keyring.get_password(service, user)
    except keyring.errors.NoKeyringError as error:
        raise MissingRequirement(
            "this machine has no keyring",
            hint="Use env:NAME or file:PATH; servers seldom have a keyring.",
        ) from error
    except keyring.errors.KeyringError as error:
        raise InvalidInput(f"the keyring does not answer: {error}") from error
    if secret is None:
        raise InvalidInput(
            f"the keyring has no secret for {service}/{user}",
            hint=f"Store it with: keyring set {service} {user}",
        )
    return secret


def keep(service: str, user: str, secret: str, *, folder: Path) -> SecretReference:
    """Put a secret into the keyring; where there is none, into a file of ``folder`` that only
    this user can read. Gives the reference that `resolve` takes."""
    try:
        import keyring  # noqa: PLC0415 - an extra
        import keyring.errors  # noqa: PLC0415
    except ModuleNotFoundError:
        return _keep_in_file(folder, user, secret)
    try:
        keyring.set_password(service, user, secret)
        kept = keyring.get_password(service, user) == secret  # one that is disabled forgets it
    except keyring.errors.KeyringError:  # no desktop, no daemon: a server
        kept = False
    if not kept:
        return _keep_in_file(folder, user, secret)
    return SecretReference("keyring", f"{service}/{user}")


def forget(reference: SecretReference, *, folder: Path) -> None:
    """Remove what `keep` put there; what others keep stays."""
    if reference.kind == "file" and Path(reference.place).parent == folder:
        Path(reference.place).unlink(missing_ok=True)
    if reference.kind == "keyring":
        with contextlib.suppress(ModuleNotFoundError):
            import keyring  # noqa: PLC0415 - an extra
            import keyring.errors  # noqa: PLC0415

            service, _, user = reference.place.rpartition("/")
            with contextlib.suppress(keyring.errors.KeyringError):
                keyring.delete_password(service, user)


def _keep_in_file(folder: Path, user: str, secret: str) -> SecretReference:
    path = folder / user
    write_privately(path, f"{secret}\n", replace=True)
    return SecretReference("file", str(path))
