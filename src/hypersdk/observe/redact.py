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

#: Secrets by their form. Every repetition is bounded where a search could begin anew inside it:
#: a long hostile text must not cost quadratic time.
_FORMS = (
    # A key in PEM, up to its end or to the end of a text that was cut.
    (
        re.compile(
            r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}KEY-----|\Z)",
            re.DOTALL,
        ),
        MASK,
    ),
    (re.compile(r"\bhypersdk-identity-[\w-]+"), f"hypersdk-identity-{MASK}"),
    (re.compile(r"\bhsdk_([0-9a-f]{16})_[\w-]+"), rf"hsdk_\1_{MASK}"),  # the id may be seen
    (re.compile(r"\bAGE-SECRET-KEY-[A-Z0-9-]+"), MASK),
    # scheme://user:password@host; whoever forgot to escape the password is protected too.
    (
        re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,30}://[^\s/:@?#]{0,256}):[^\s?#\"']{0,1024}@"),
        rf"\1:{MASK}@",
    ),
    (
        re.compile(
            r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie)"
            r"([\"']?\s{0,4}[:=]\s{0,4}[\"']?)[^\"'\r\n]+"
        ),
        rf"\1\2{MASK}",
    ),
    (
        re.compile(r"(?i)\b(bearer|basic|negotiate|aws4-hmac-sha256) {1,4}[\w.~+/=-]{8,}"),
        rf"\1 {MASK}",
    ),
    (re.compile(r"\beyJ[\w-]{8,4096}\.[\w-]{1,8192}\.[\w-]*"), MASK),  # JSON Web Token
    (re.compile(r"\b(?:AKIA|ASIA)[A-Z0-9]{12,}\b"), MASK),  # AWS access key id
    (re.compile(r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[abprs]-)[\w-]{10,}"), MASK),
    (re.compile(r"(?i)([?&](?:sig|key|code)=)[^&\s\"']+"), rf"\1{MASK}"),
)
#: ``name=``, ``name: ``, ``"name": `` and ``--name ``, whatever the name is.
_ASSIGNMENT = re.compile(
    r"(?<![\w.-])(?P<name>[\w.-]{1,256})(?:[\"']?\s{0,4}(?P<sign>[=:])\s{0,4}|(?<=\w) (?!-))"
)
_VALUE = re.compile(r"\"(?:\\.|[^\"\\])*\"?|'(?:\\.|[^'\\])*'?|[^\s&]+", re.DOTALL)
_LINE = re.compile(r"[^\r\n]+")


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
    return _mask_assignments(text)


def _mask_assignments(text: str) -> str:
    """Mask the values of secret names, and look for names inside all other values."""
    kept: list[str] = []
    done = position = 0
    while found := _ASSIGNMENT.search(text, position):
        position = found.end()
        name = found["name"]
        if not is_secret_name(name) or (found["sign"] is None and not name.startswith("--")):
            continue
        value = _VALUE.match(text, position)
        if value is None:
            continue
        if found["sign"] == ":" and "pass" in name.lower() and value.group()[0] not in "\"'":
            value = _LINE.match(text, position) or value  # a passphrase may have several words
        kept += [text[done : found.end()], MASK]
        done = position = value.end()
    return "".join(kept) + text[done:]


def _redact_named(name: str, value: Any, depth: int) -> Any:
    if value is None or isinstance(value, bool) or not is_secret_name(name):
        return redact(value, depth)
    return MASK


def is_secret_name(name: str) -> bool:
    """Whether what goes by this name is taken for a secret."""
    return bool(_SECRET_NAME.search(name)) and not _HARMLESS_NAME.search(name)
