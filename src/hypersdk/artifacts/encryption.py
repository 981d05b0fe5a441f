"""Sealing exported files to a passphrase or to recipients, in age's format.

A sealed file is called ``<file>.age`` and is opened by `open_file`, or by ``age -d`` on any machine
that never heard of this project. Files are sealed as streams: memory does not grow with them. What
is cut or changed is noticed when it is opened, and the target then never gets its name.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from hypersdk.artifacts import agekeys
from hypersdk.artifacts.agepassphrase import (
    INTRODUCTION,
    open_with_passphrase,
    seal_with_passphrase,
)
from hypersdk.artifacts.newfile import new_file, opened
from hypersdk.artifacts.streams import Readable, Told, Watched, Writable, ignore
from hypersdk.config.secrets import SecretReference, resolve
from hypersdk.datapath.cancel import CancelToken
from hypersdk.model.errors import Damaged, FormatUnsupported, InvalidInput, KeyRequired

SUFFIX = ".age"
_ARMOR = b"-----BEGIN AGE"
#: Bytes after which a header is not looked at any further.
_HEADER_MOST = 64 << 10
_CUT = "It was cut or damaged on its way: fetch it again."


@dataclass(frozen=True, slots=True, kw_only=True)
class Seal:
    """Who can open what is sealed: whoever knows the passphrase, or any one of the recipients.

    Raises InvalidInput unless it is one of the two.
    """

    #: A reference is resolved when it is used; text is the passphrase itself.
    passphrase: SecretReference | str | None = field(default=None, repr=False)
    #: ``age1…``, ``ssh-ed25519 …`` or ``ssh-rsa …``.
    recipients: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.passphrase is None) == (not self.recipients):
            raise InvalidInput(
                "files are sealed to a passphrase or to recipients, one of the two",
                hint="Give a reference to a passphrase (env:NAME, file:PATH), or recipients.",
            )
        if self.passphrase == "":
            raise InvalidInput("the passphrase is empty")

    def ready(self) -> Self:
        """The same with its passphrase resolved and its recipients checked, so that nothing is
        asked twice and no mistake is found after hours of copying.

        Raises InvalidInput, MissingRequirement.
        """
        if isinstance(self.passphrase, SecretReference):
            return replace(self, passphrase=resolve(self.passphrase))
        agekeys.read_recipients(self.recipients)
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What opens sealed files: a passphrase, identity files, or both for files of either kind."""

    passphrase: SecretReference | str | None = field(default=None, repr=False)
    #: Files of ``age-keygen``, or SSH private keys without a passphrase.
    identities: tuple[Path, ...] = ()

    def ready(self) -> Self:
        """As `Seal.ready`. Raises also NotFound."""
        agekeys.read_identities(self.identities)
        if isinstance(self.passphrase, SecretReference):
            return replace(self, passphrase=resolve(self.passphrase))
        return self


def seal_stream(source: Readable, output: Writable, seal: Seal) -> None:
    """Read all of ``source``, write it sealed. What the two raise passes through."""
    seal = seal.ready()
    if isinstance(seal.passphrase, str):
        seal_with_passphrase(source, output, seal.passphrase)
        return
    recipients = agekeys.read_recipients(seal.recipients)
    ends = _Ends(source, output)
    with ends.own_errors():
        agekeys.pyrage().encrypt_io(ends, ends, recipients)


def seal_file(
    path: Path,
    seal: Seal,
    *,
    target: Path | None = None,
    overwrite: bool = False,
    progress: Told = ignore,
    pace: Told = ignore,
    cancel: CancelToken | None = None,
) -> Path:
    """Write ``<file>.age`` beside a file, or ``target``; returns its path. The file stays.

    ``progress`` is told bytes of the file. Raises NotFound, AlreadyExists, DataPathError,
    InvalidInput, MissingRequirement, Interrupted.
    """
    target = target or path.with_name(path.name + SUFFIX)
    seal = seal.ready()
    with opened(path) as file, new_file(target, overwrite=overwrite) as output:
        watched = Watched(file, progress=progress, pace=pace, cancel=cancel)
        seal_stream(io.BufferedReader(_Raw(watched), 1 << 20), output, seal)
    return target


def open_stream(
    source: Readable, output: Writable, opening: Opening, name: str = "the file"
) -> None:
    """Read all of a sealed stream, write what it holds.

    Raises KeyRequired when nothing of ``opening`` opens it, Damaged when it is cut or changed, or
    is no sealed file; then a part may have been written.
    """
    ahead = _Ahead(source)
    begin = ahead.look(len(INTRODUCTION) + 10)
    if begin.startswith(_ARMOR):
        raise FormatUnsupported(
            f"{name} is sealed as text", hint=f"Open it with: age -d -o OUTPUT {name}"
        )
    if not begin.startswith(INTRODUCTION):
        raise Damaged(f"{name} is no sealed file", hint="Sealed files are in age's format.")
    if begin[len(INTRODUCTION) :].startswith(b"-> scrypt "):
        ahead.read(len(INTRODUCTION))
        open_with_passphrase(ahead, output, _passphrase(opening, name), name)
    else:
        _open_with_identities(ahead, output, opening, name)


def open_file(
    path: Path,
    opening: Opening,
    *,
    target: Path | None = None,
    overwrite: bool = False,
    progress: Told = ignore,
    pace: Told = ignore,
    cancel: CancelToken | None = None,
) -> Path:
    """Write what a sealed file holds to its name without ``.age``, or to ``target``.

    Raises as `seal_file` and `open_stream`; then there is no target.
    """
    if target is None and path.suffix != SUFFIX:
        raise InvalidInput(f"{path} does not end in {SUFFIX}", hint="Name the file to write.")
    target = target or path.with_suffix("")
    with opened(path) as file, new_file(target, overwrite=overwrite) as output:
        watched = Watched(file, progress=progress, pace=pace, cancel=cancel)
        source = io.BufferedReader(_Raw(watched), 1 << 20)
        open_stream(source, output, opening, str(path))
    return target


def is_sealed(path: Path) -> bool:
    """Whether a file is in age's format, whatever its name."""
    with opened(path) as file:
        return file.read(len(INTRODUCTION)) == INTRODUCTION


def _passphrase(opening: Opening, name: str) -> str:
    if opening.passphrase is None:
        raise KeyRequired(
            f"{name} is sealed with a passphrase, and none was given",
            hint="Give a reference to it: env:NAME, file:PATH, keyring:SERVICE/USER or prompt:",
        )
    if isinstance(opening.passphrase, SecretReference):
        return resolve(opening.passphrase)
    return opening.passphrase


def _open_with_identities(source: Readable, output: Writable, opening: Opening, name: str) -> None:
    identities = agekeys.read_identities(opening.identities)
    library = agekeys.pyrage()
    if not identities:
        raise KeyRequired(
            f"{name} is sealed to recipients, and no identity was given",
            hint="Give the identity file of one of them.",
        )
    ends = _Ends(source, output)
    try:
        with ends.own_errors():
            library.decrypt_io(ends, ends, identities)
    except library.DecryptError as error:
        if "No matching keys" in str(error):
            raise KeyRequired(
                f"none of the given identities opens {name}",
                hint="Give the identity file of one of the recipients it was sealed to.",
            ) from error
        raise Damaged(f"{name} cannot be opened: {error}", hint=_CUT) from error
    except OSError as error:  # what pyrage raises for a payload that is cut or changed
        raise Damaged(f"{name} ends too early or was changed", hint=_CUT) from error


class _Ends:
    """Both ends of pyrage's streams. It turns whatever they raise into errors of its own and loses
    what it was; here it is kept and raised again."""

    def __init__(self, source: Readable, output: Writable) -> None:
        self._source = source
        self._output = output
        self._error: BaseException | None = None

    def read(self, count: int = -1, /) -> bytes:
        try:
            return self._source.read(count)
        except BaseException as error:
            self._error = error
            raise

    def write(self, data: bytes, /) -> int:
        try:
            self._output.write(data)
        except BaseException as error:
            self._error = error
            raise
        return len(data)

    def flush(self) -> None:
        """The output is flushed by whoever opened it."""

    @contextmanager
    def own_errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if self._error is not None:
                raise self._error from error
            raise


class _Ahead:
    """A stream of which the first bytes can be looked at."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self._seen = b""

    def look(self, count: int) -> bytes:
        while len(self._seen) < count and (data := self._stream.read(count - len(self._seen))):
            self._seen += data
        return self._seen

    def read(self, count: int, /) -> bytes:
        if self._seen:
            data, self._seen = self._seen[:count], self._seen[count:]
            return data
        return self._stream.read(count)


class _Raw(io.RawIOBase):
    """A stream as the io module wants it, so that it can buffer small reads."""

    def __init__(self, stream: Readable) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
