"""Names of users and tenants: what they may look like, and what was probably meant."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from difflib import get_close_matches

from hypersdk.model.accounts import LOCAL
from hypersdk.model.errors import InvalidInput, NotFound

#: Users may be called by their addresses; tenants as everything else that has a name.
USER_NAME = r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}$"
TENANT_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$"
_FORMS = {"user": re.compile(USER_NAME), "tenant": re.compile(TENANT_NAME)}
_SIGNS = {"user": "._@+-", "tenant": "._-"}


def check_name(kind: str, name: str) -> None:
    """Raise InvalidInput unless ``name`` may be one of a ``user`` or ``tenant``."""
    if kind == "user" and name.lower() == LOCAL.user:
        raise InvalidInput(
            f"{name} is how callers without an account are called", hint="Take another name."
        )
    if not possible(kind, name):
        raise InvalidInput(
            f"{name[:128]!r} is no name for a {kind}",
            hint=f"Up to 128 letters, digits and {_SIGNS[kind]}, with a letter or digit first.",
        )


def possible(kind: str, name: str) -> bool:
    """Whether there may be one of this name; no other is looked for in the database."""
    return _FORMS[kind].fullmatch(name) is not None


def missing(kind: str, name: str, known: Iterable[str]) -> NotFound:
    """The error to raise, with the nearest of the names that the caller may know of."""
    near = get_close_matches(name, list(known), n=1)
    hint = f"Did you mean {near[0]}? " if near else ""
    return NotFound(
        f"there is no {kind} {name[:128]!r}", hint=f"{hint}List them with GET /v1/{kind}s."
    )


def name_of_claim(claim: str) -> str:
    """A user name made of what an issuer calls somebody: different claims, different names."""
    if possible("user", claim):
        return claim
    kept = re.sub(r"[^A-Za-z0-9._@+-]", "-", claim).lstrip("._@+-")[:100]
    return f"{kept or 'user'}-{hashlib.sha256(claim.encode()).hexdigest()[:12]}"
