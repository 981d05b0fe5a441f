"""The one function that takes secrets out of what people and machines get to see.

Logs, error reports and ``--json`` output all pass through ``redact``. It knows secrets by the
name they are given (``password=…``, ``{"token": …}``) and by their own form (private keys, access
keys, bearer tokens, passwords in URLs). A secret with neither is not found; keeping secrets out
of messages in the first place remains the rule. In doubt it takes out too much.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import Any

#: What stands in place of a secret.
MASK = "***"
#: Nesting below which a value is not looked at but masked.
_DEPTH_MAX = 20

#: Parts of names whose values are secret.
_NAMES = (
    r"pass(?:word|phrase|wd|code)|secret|token|credential|authorization|cookie|signature"
    r"|api[_-]?key|access[_-]?key|private[_-]?key|identity"
)
_SECRET_NAME = re.compile(rf"(?i){_NAMES}|^(?:pwd|auth)$")
#: Endings that make such a name one of something else: where a secret is, or how many there are.
_HARMLESS_NAME = re.compile(r"(?i)[_-](?:file|path|ref|reference|count|type|kind|expires\w*)$")

_WORD = rf"[\w.-]*(?:{_NAMES})[\w.-]*"
_QUOTED = r"\"(?:\\.|[^\"\\])*\"?|'(?:\\.|[^'\\])*'?"


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.IGNORECASE)


#: Secrets by their form.
_FORMS = (
    # A key in PEM, up to its end or to the end of a text that was cut.
    (
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*KEY-----|\Z)", re.DOTALL
        ),
        MASK,
    ),
    (re.compile(r"\bhypersdk-identity-[\w-]+"), f"hypersdk-identity-{MASK}"),
    (re.compile(r"\bAGE-SECRET-KEY-[A-Z0-9-]+"), MASK),
    # scheme://user:password@host; whoever forgot to escape the password is protected too.
    (_pattern(r"\b([a-z][a-z0-9+.-]*://[^\s/:@?#]*):[^\s?#\"']*@"), rf"\1:{MASK}@"),
    (
        _pattern(
            r"\b((?:proxy-)?authorization|(?:set-)?cookie)([\"']?\s*[:=]\s*[\"']?)[^\"'\r\n]+"
        ),
        rf"\1\2{MASK}",
    ),
    (_pattern(r"\b(bearer|basic|negotiate|aws4-hmac-sha256) +[\w.~+/=-]{8,}"), rf"\1 {MASK}"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"), MASK),  # JSON Web Token
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b"), MASK),  # AWS access key id
    (re.compile(r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[abprs]-)[\w-]{10,}"), MASK),
    (_pattern(rf"([?&](?:{_WORD}|sig|key|code)=)[^&\s\"']+"), rf"\1{MASK}"),
    (_pattern(rf"(--{_WORD}[ =])(?!-)(?:{_QUOTED}|\S+)"), rf"\1{MASK}"),
)
#: name=value, name: value, "name": "value". A passphrase after a colon may have several words.
_ASSIGNMENT = _pattern(rf"(?<![\w.-])({_WORD})([\"']?(?:\s*=\s*|\s*:\s*))(?:{_QUOTED}|[^\s&]+)")
_PASSPHRASE = _pattern(
    r"(?<![\w.-])([\w.-]*pass(?:word|phrase|wd|code)[\w.-]*)([\"']?\s*:\s*)([^\s\"'][^\r\n]*)"
)


def redact(value: Any, _depth: int = 0) -> Any:
    """The same value without secrets, made of what JSON knows.

    Mappings and sequences are copied; numbers, booleans and None stay; raw bytes become their
    length; any other object becomes its text.
    """
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"<{memoryview(value).nbytes} bytes>"
    if _depth >= _DEPTH_MAX:
        return MASK
    if isinstance(value, Mapping):
        return {
            redact_text(str(name)): _redact_named(str(name), item, _depth + 1)
            for name, item in value.items()
        }
    if isinstance(value, (list, tuple, AbstractSet)):
        return [redact(item, _depth + 1) for item in value]
    return redact_text(str(value))


def redact_text(text: str) -> str:
    """The same text without secrets."""
    for pattern, replacement in _FORMS:
        text = pattern.sub(replacement, text)
    text = _PASSPHRASE.sub(_mask_assignment, text)
    return _ASSIGNMENT.sub(_mask_assignment, text)


def _redact_named(name: str, value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool) or not is_secret_name(name):
        return redact(value, depth)
    return MASK


def is_secret_name(name: str) -> bool:
    """Whether what goes by this name is taken for a secret."""
    return bool(_SECRET_NAME.search(name)) and not _HARMLESS_NAME.search(name)


def _mask_assignment(found: re.Match[str]) -> str:
    name, separator = found.group(1), found.group(2)
    return f"{name}{separator}{MASK}" if is_secret_name(name) else found.group()
