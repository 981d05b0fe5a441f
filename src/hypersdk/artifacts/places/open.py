"""From a URL, as a person writes it, to a place."""

from __future__ import annotations

import re
from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from hypersdk.artifacts.places.folder import FolderPlace
from hypersdk.artifacts.places.ports import Place
from hypersdk.artifacts.places.retrying import Patience, RetryingPlace
from hypersdk.artifacts.places.sources import checked_name
from hypersdk.config.secrets import SecretReference
from hypersdk.model.errors import InvalidInput, MissingRequirement

#: How each kind of place is written.
PLACES = {
    "file": "file:///folder",
    "s3": "s3://bucket/prefix",
    "azure": "azure://container/prefix",
    "gs": "gs://bucket/prefix",
    "sftp": "sftp://user@host:22/folder",
}
#: Other spellings that people know.
_SAME = {"gcs": "gs", "az": "azure", "s3a": "s3"}
_SFTP_OPTIONS = ("fingerprint", "key", "password-from")
_FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")


def open_place(url: str, *, patience: Patience | None = None) -> Place:
    """The place at a URL, see `PLACES`; what does not answer is asked again.

    Nothing is connected before it is used. Raises InvalidInput for what is no place or holds a
    secret, NotFound for a missing folder, StoreDenied without credentials, MissingRequirement.
    """
    try:
        parts = urlsplit(url)
        scheme = _SAME.get(parts.scheme, parts.scheme)
        port = parts.port
    except ValueError:
        raise InvalidInput("this is no URL", hint=_known()) from None
    if scheme not in PLACES:
        raise _unknown(scheme)
    if parts.password is not None:
        raise InvalidInput(
            "a URL must not hold a password",
            hint="sftp: ?password-from=env:NAME; others take credentials from the environment.",
        )
    if scheme == "sftp":
        return RetryingPlace(_sftp(parts, port), patience)
    if parts.query or parts.fragment or parts.username or (port and scheme != "file"):
        raise InvalidInput(
            f"{scheme}: URLs have no user, port or options",
            hint=f"Write {PLACES[scheme]}. Credentials and endpoints come from the environment.",
        )
    if scheme == "file":
        return _folder(parts)
    return RetryingPlace(_bucket(scheme, parts), patience)


def _folder(parts: SplitResult) -> FolderPlace:
    path = Path(unquote(parts.path))
    if parts.netloc not in {"", "localhost"} or not path.is_absolute():
        raise InvalidInput("a file: URL names an absolute folder", hint="Write file:///folder.")
    return FolderPlace(path)


def _bucket(scheme: str, parts: SplitResult) -> Place:
    prefix = unquote(parts.path).strip("/")
    if prefix:
        checked_name(prefix)
    if not parts.netloc:
        raise InvalidInput(f"{scheme}:// names no bucket", hint=f"Write {PLACES[scheme]}.")
    try:
        from hypersdk.artifacts.places import buckets  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise _extra(scheme, "obstore") from error
    make: dict[str, Callable[[str, str], Place]] = {
        "s3": buckets.s3_place,
        "azure": buckets.azure_place,
        "gs": buckets.google_place,
    }
    return make[scheme](parts.netloc, prefix)


def _sftp(parts: SplitResult, port: int | None) -> Place:
    try:
        from hypersdk.artifacts.places.sftp import SftpPlace  # noqa: PLC0415 - an extra
        from hypersdk.artifacts.places.sshconnection import SshAddress  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise _extra("sftp", "paramiko") from error
    if not parts.hostname or parts.fragment:
        raise InvalidInput("the sftp: URL names no host", hint=f"Write {PLACES['sftp']}.")
    options = _options(parts.query)
    folder = unquote(parts.path)
    # /~/x is below the user's home, as curl and others read it.
    folder = folder[3:].rstrip("/") or "." if re.match(r"/~(/|$)", folder) else folder
    key = options.get("key")
    password = options.get("password-from")
    return SftpPlace(
        SshAddress(
            host=parts.hostname,
            port=port or 22,
            user=unquote(parts.username or ""),
            folder=folder or "/",
            key=Path(key).expanduser() if key else None,
            password=SecretReference.parse(password) if password else None,
            fingerprint=options.get("fingerprint", ""),
        )
    )


def _options(query: str) -> dict[str, str]:
    # A '+' is one of base64 in fingerprints, not a space.
    options = dict(parse_qsl(query.replace("+", "%2B"), keep_blank_values=True))
    for name in options:
        if name not in _SFTP_OPTIONS:
            near = get_close_matches(name, _SFTP_OPTIONS, n=1, cutoff=0.5)
            meant = f"Did you mean {near[0]}? " if near else ""
            raise InvalidInput(
                f"sftp: URLs have no option '{name[:40]}'",
                hint=f"{meant}There are {', '.join(_SFTP_OPTIONS)}.",
            )
    pinned = options.get("fingerprint")
    if pinned is not None and not _FINGERPRINT.fullmatch(pinned):
        raise InvalidInput(
            "the fingerprint in the URL is none",
            hint="It is written SHA256:… as ssh shows it, 43 letters behind the colon.",
        )
    return options


def _unknown(scheme: str) -> InvalidInput:
    near = get_close_matches(scheme, PLACES, n=1, cutoff=0.5)
    meant = f"Did you mean {near[0]}:? " if near else ""
    # Only the scheme is repeated: the rest may hold a secret.
    what = f"'{scheme[:20]}:' is no kind of place" if scheme else "a place is written as a URL"
    return InvalidInput(what, hint=f"{meant}{_known()}")


def _known() -> str:
    return f"Places are {', '.join(PLACES.values())}."


def _extra(scheme: str, library: str) -> MissingRequirement:
    return MissingRequirement(
        f"{scheme}: places need the library {library}",
        hint="Install it with: pip install 'hypersdk[export]'",
    )
