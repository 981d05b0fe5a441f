"""Names of instances as names of files."""

from __future__ import annotations

import re

_FORBIDDEN = re.compile(r'[<>:"|?*/\\\x00-\x1f\x7f]')


def sanitized(name: str) -> str:
    """``name`` as a folder may be called everywhere."""
    return _FORBIDDEN.sub("_", name).strip(" .") or "unnamed-vm"
