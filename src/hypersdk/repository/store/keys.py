"""What may be a key.

Every store applies the same rules, so a repository can be copied from any place to any other: the
limits are the narrowest of the places (255 bytes per part from Linux filesystems, 1024 bytes in
all from S3).
"""

from __future__ import annotations

import re

from hypersdk.model.errors import InvalidInput

#: Bytes of UTF-8 in one part of a key.
PART_BYTES_MAX = 255
#: Bytes of UTF-8 in a whole key.
KEY_BYTES_MAX = 1024
#: Where a local store spools unfinished writes; no key lies here, in any store.
SPOOL = ".hypersdk/tmp"

#: Control characters, lone surrogates (names that are not UTF-8 on disk) and the backslash.
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\\]")


def fault_of_key(key: str) -> str:
    """Why ``key`` is no key, in a few words; empty when it is one."""
    if not key:
        return "it is empty"
    if _FORBIDDEN.search(key):
        return "it has a control character, a backslash or broken text"
    if len(key.encode()) > KEY_BYTES_MAX:
        return f"it is longer than {KEY_BYTES_MAX} bytes"
    for part in key.split("/"):
        if part in {"", ".", ".."}:
            return "it has an empty part, '.' or '..', or begins or ends with '/'"
        if len(part.encode()) > PART_BYTES_MAX:
            return f"a part of it is longer than {PART_BYTES_MAX} bytes"
    if key == SPOOL or key.startswith(SPOOL + "/"):
        return f"{SPOOL} is reserved for unfinished writes"
    return ""


def check_key(key: str) -> str:
    """Return ``key``; raises InvalidInput when it could leave the place or fits no store."""
    if fault := fault_of_key(key):
        raise InvalidInput(f"not a valid object name: {key!r}: {fault}")
    return key


def check_prefix(prefix: str) -> str:
    """Return ``prefix``, a folder or ``""`` for the root; raises InvalidInput as ``check_key``."""
    return prefix if prefix in {"", SPOOL} else check_key(prefix)
