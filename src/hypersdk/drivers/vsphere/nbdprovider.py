"""Disks by a program that the user names, which serves them over NBD: nbdkit-vddk, nbdkit-nfc …

A TOML file says how it is started::

    command = ["nbdkit", "--foreground", "--unix", "{socket}", "--readonly", "vddk",
               "server={server}", "user={user}", "password=+{password_file}",
               "thumbprint={thumbprint}", "vm=moref={vm}", "snapshot={snapshot}", "file={file}"]
    seconds = 60        # it has to be ready by then; optional
    export = ""         # name of its NBD export; optional

It serves one disk on one unix socket and runs in the foreground. The password reaches it by a
private file alone, never by its arguments. It ends with us, also when we are killed: it hangs on a
pipe whose other end we hold.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from string import Formatter
from typing import Self
from urllib.parse import quote

from hypersdk.datapath.cancel import WAIT_SLICE, token_in_force
from hypersdk.datapath.handle import Shared
from hypersdk.datapath.nbd import NbdSource
from hypersdk.datapath.wrapping import WrappedSource
from hypersdk.model.errors import (
    DataPathError,
    HypervisorError,
    InvalidInput,
    MissingRequirement,
    OperationTimeout,
)

PLACEHOLDERS = frozenset(
    {"socket", "server", "user", "password_file", "thumbprint", "vm", "snapshot", "file"}
)
#: Seconds until it must be ready.
_READY_SECONDS = 60.0
_KEYS = frozenset({"command", "seconds", "export"})
#: Bytes of its complaints that are shown.
_COMPLAINT = 2000
_END_SECONDS = 10
# Standard input is the pipe that we hold: when it ends, so does the program.
_SUPERVISOR = """
"$@" </dev/null &
read -r _
kill $! 2>/dev/null
wait $!
"""


@dataclass(frozen=True, slots=True)
class Provider:
    """How the program is started."""

    path: Path
    command: tuple[str, ...]
    seconds: float
    export: str

    @classmethod
    def read(cls, path: str) -> Provider:
        """Raises InvalidInput for a file that is not as described above."""
        file = Path(path).expanduser()
        try:
            content = tomllib.loads(file.read_text())
        except OSError as error:
            raise InvalidInput(f"cannot read the NBD provider {file}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InvalidInput(f"{file} is no TOML: {error}") from error
        if unknown := sorted(content.keys() - _KEYS):
            raise InvalidInput(
                f"{file}: unknown key '{unknown[0]}'", hint=f"Known are {', '.join(sorted(_KEYS))}."
            )
        command = content.get("command")
        if not isinstance(command, list) or not all(isinstance(each, str) for each in command):
            raise InvalidInput(f"{file}: 'command' has to be a list of texts")
        seconds, export = content.get("seconds", _READY_SECONDS), content.get("export", "")
        if not command or not isinstance(seconds, (int, float)) or not isinstance(export, str):
            raise InvalidInput(f"{file}: 'command', 'seconds' or 'export' is of the wrong kind")
        _check_placeholders(file, command)
        return cls(file, tuple(command), float(seconds), export)

    def arguments(self, values: Mapping[str, str]) -> list[str]:
        """The command with its placeholders filled."""
        return [each.format_map(values) for each in self.command]


def _check_placeholders(file: Path, command: list[str]) -> None:
    try:
        used = {name for each in command for _, name, _, _ in Formatter().parse(each) if name}
    except ValueError as error:
        raise InvalidInput(f"{file}: {error}") from error
    if unknown := sorted(used - PLACEHOLDERS):
        raise InvalidInput(
            f"{file}: unknown placeholder {{{unknown[0]}}}",
            hint=f"Known are {', '.join(f'{{{name}}}' for name in sorted(PLACEHOLDERS))}.",
        )
    if "socket" not in used:
        raise InvalidInput(f"{file}: the command has no {{socket}}, on which it has to serve")


class ProvidedDisk(WrappedSource):
    """One disk that a provider serves; the program ends with the last clone."""

    def __init__(
        self, provider: Provider, values: Mapping[str, str], password: str, name: str
    ) -> None:
        """``values``: the placeholders but ``socket`` and ``password_file``. ``name``: "disk
        scsi0-0 of 'web'".

        Raises HypervisorError with what the program says when it ends, OperationTimeout when it is
        not ready in time, MissingRequirement when it is not installed.
        """
        process = _Process(provider, values, password, name)
        self._process = Shared(process, _Process.end)
        self._closed = False
        try:
            super().__init__(NbdSource(process.uri, name=name))
        except BaseException:
            self._process.release()
            raise

    def clone(self) -> Self:
        twin = super().clone()
        self._process.hold()
        return twin

    def close(self) -> None:
        super().close()
        if not self._closed:
            self._closed = True
            self._process.release()


class _Process:
    """The running program and its private folder."""

    def __init__(
        self, provider: Provider, values: Mapping[str, str], password: str, name: str
    ) -> None:
        self._name = name
        self._folder = Path(tempfile.mkdtemp(prefix="hypersdk-"))  # mode 0700
        self._log = self._folder / "log"
        self._socket = self._folder / "nbd"
        secret = self._folder / "password"
        try:
            descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(password)
            known = {**values, "socket": str(self._socket), "password_file": str(secret)}
            self._running = self._started(provider.arguments(known))
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self.uri = f"nbd+unix:///{quote(provider.export)}?socket={quote(str(self._socket))}"
        try:
            self._wait(provider.seconds)
            secret.unlink()
        except BaseException:
            self.end()
            raise

    def _started(self, command: list[str]) -> subprocess.Popen[bytes]:
        if shutil.which(command[0]) is None:
            raise MissingRequirement(
                f"the NBD provider '{command[0]}' is not installed",
                hint="Install it, or correct the command in its TOML file.",
            )
        with open(self._log, "wb") as log:
            return subprocess.Popen(
                ["/bin/sh", "-c", _SUPERVISOR, "sh", *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not self._socket.is_socket():
            token_in_force().wait(WAIT_SLICE / 4)
            if self._child_is_gone():
                raise HypervisorError(
                    f"{self._name}: the NBD provider ended at once: {self.complaint()}",
                    hint="Correct what it says, or the command in its TOML file.",
                )
            if time.monotonic() > deadline:
                raise OperationTimeout(
                    f"{self._name}: the NBD provider serves nothing after {seconds:.0f} seconds: "
                    f"{self.complaint()}",
                    hint="Give it longer with 'seconds', or correct the command in its TOML file.",
                )

    def _child_is_gone(self) -> bool:
        """The supervisor lives until we end it; its child is what counts."""
        if self._running.poll() is not None:
            return True
        children = Path(f"/proc/{self._running.pid}/task/{self._running.pid}/children")
        with contextlib.suppress(OSError):
            return all(_is_zombie(int(pid)) for pid in children.read_text().split())
        return False

    def complaint(self) -> str:
        """The last of what it wrote."""
        text = self._log.read_bytes()[-_COMPLAINT:].decode(errors="replace")
        return " ".join(text.split()) or "it said nothing"

    def end(self) -> None:
        """End the program and remove its folder."""
        try:
            self._running.communicate(timeout=_END_SECONDS)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._running.pid, 9)
            self._running.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def _is_zombie(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return stat.rpartition(")")[2].split()[0] in {"Z", "X"}


def sha1_thumbprint(der: bytes) -> str:
    """``AB:CD:…`` of a certificate, as VMware's own libraries want it."""
    digest = hashlib.sha1(der, usedforsecurity=False).hexdigest().upper()
    return ":".join(digest[at : at + 2] for at in range(0, len(digest), 2))


def serve(provider: Provider, values: Mapping[str, str], password: str, name: str) -> ProvidedDisk:
    """See `ProvidedDisk`. A program whose socket is there but does not answer raises
    DataPathError."""
    try:
        return ProvidedDisk(provider, values, password, name)
    except DataPathError as error:
        raise DataPathError(
            f"{name}: the NBD provider does not serve: {error.message}",
            hint=f"Try its command by hand; it stands in {provider.path}.",
        ) from error
