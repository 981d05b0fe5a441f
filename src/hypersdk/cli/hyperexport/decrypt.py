"""``--decrypt``: what --encrypt sealed, and the .enc files of the original."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hypersdk import HyperSDKError, InvalidInput, PartialFailure, unseal_file, unseal_legacy_file
from hypersdk.cli.hyperexport.exits import AllFailed
from hypersdk.cli.hyperexport.options.sealing import Sealing
from hypersdk.cli.hyperexport.seals import opening_of, passphrase
from hypersdk.cli.interrupts import cancelling
from hypersdk.cli.terminal import Terminal

_LEGACY = ".enc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    files: tuple[Path, ...]
    #: Folder for what comes out; None: beside each file.
    folder: Path | None
    sealing: Sealing
    overwrite: bool


def run(terminal: Terminal, options: Options) -> None:
    """One after another; what fails does not stop the others."""
    opening = opening_of(terminal, options.sealing)
    made: list[dict[str, object]] = []
    failures: dict[str, HyperSDKError] = {}
    with cancelling(terminal) as cancel:
        for file in options.files:
            try:
                target = _target(file, options.folder)
                if file.suffix == _LEGACY:
                    secret = _legacy_passphrase(terminal, options.sealing)
                    unseal_legacy_file(
                        file, secret, target=target, overwrite=options.overwrite, cancel=cancel
                    )
                else:
                    unseal_file(
                        file, opening, target=target, overwrite=options.overwrite, cancel=cancel
                    )
            except HyperSDKError as error:
                failures[str(file)] = error
                continue
            made.append({"file": str(file), "decrypted": str(target)})
            terminal.line(f"{file}: decrypted to {target}")
    terminal.result({"decrypted": made})
    _raise(failures, len(options.files))


def _target(file: Path, folder: Path | None) -> Path:
    if file.suffix not in (".age", _LEGACY):
        raise InvalidInput(
            f"{file} ends neither in .age nor in .enc",
            hint="Give the encrypted files of an export.",
        )
    if folder is None:
        return file.with_suffix("")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"cannot make the folder {folder}: {error.strerror}") from error
    return folder / file.stem


def _legacy_passphrase(terminal: Terminal, sealing: Sealing) -> str:
    if sealing.identities:
        raise InvalidInput(
            "files of the original are opened by a passphrase or a key file",
            hint="Add --passphrase-from env:NAME or --keyfile FILE.",
        )
    return passphrase(terminal, sealing, new=False)


def _raise(failures: dict[str, HyperSDKError], total: int) -> None:
    if not failures:
        return
    if total == 1:
        raise next(iter(failures.values()))
    kind = AllFailed if len(failures) == total else PartialFailure
    raise kind(f"{len(failures)} of {total} files could not be decrypted", failures)
