"""Rules about names, and the name of an instance as its files bear it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hypersdk.flows.preflight.rule import BOTH, Rule
from hypersdk.flows.preflight.subject import Subject
from hypersdk.model.concerns import Severity

#: RFC 1123: what host names, and names of objects in Kubernetes, may be.
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_LABEL_MOST = 63
#: Windows and tools there take none of these in names of files.
_RESERVED = re.compile(r'[<>:"|?*/\\\x00-\x1f\x7f]')


def _no_label(subject: Subject) -> Iterator[str]:
    name = subject.name
    if len(name) > _LABEL_MOST or not _LABEL.fullmatch(name):
        yield (
            f"'{name}' is no name for targets that take lower-case letters, digits and '-' only, "
            f"{_LABEL_MOST} characters at most"
        )


def _other_files(subject: Subject) -> Iterator[str]:
    if _RESERVED.search(subject.name):
        yield f"'{subject.name}' holds characters that names of files cannot have"


RULES = (
    Rule(
        id="name.invalid",
        title="Name that some targets refuse",
        severity=Severity.WARNING,
        check=_no_label,
        fix="Name it anew when it is imported: hyperexport import FILE -H URL --name NAME.",
        errands=BOTH,
    ),
    Rule(
        id="name.files",
        title="Name that files cannot have",
        severity=Severity.INFO,
        check=_other_files,
        fix="Nothing: they are replaced in names of files; the descriptor keeps the name.",
    ),
)
