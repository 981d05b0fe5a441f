"""Errors as programs written for hyper2kvm catch them.

::

    Hyper2KvmError
    ├── Fatal          ends the program with its code
    └── VMwareError    something with vSphere, or with the daemon, did not work

They are data: exit code, message, cause and context. Their text is one line without secrets.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Characters of ``str(error)``.
TEXT_MOST = 600
#: Code of errors made by `wrap_vmware` and `wrap_fatal`.
VMWARE_CODE = 50
FATAL_CODE = 1
_SECRET = re.compile(
    r"(?i)pass(word|phrase|wd)?|secret|token|credential|api[_-]?key|private[_-]?key"
)
_MASK = "***"


@dataclass(eq=False)
class Hyper2KvmError(Exception):
    """``code`` comes first for compatibility: write ``msg=``."""

    code: int = 1
    msg: str = "error"
    cause: BaseException | None = None
    context: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        self.code = max(0, min(255, int(self.code)))
        super().__init__(self.msg)

    def __str__(self) -> str:
        text = " ".join(str(self.msg).split())
        return text if len(text) <= TEXT_MOST else text[: TEXT_MOST - 1] + "…"

    def user_message(self) -> str:
        """The text, and the context without secrets."""
        shown = ", ".join(f"{name}={value}" for name, value in self._shown().items())
        return f"{self} ({shown})" if shown else str(self)

    def to_dict(self) -> dict[str, Any]:
        """As JSON: ``type code message cause context``, without secrets."""
        return {
            "type": type(self).__name__,
            "code": self.code,
            "message": str(self),
            "cause": f"{type(self.cause).__name__}: {self.cause}" if self.cause else None,
            "context": self._shown(),
        }

    def _shown(self) -> dict[str, Any]:
        return {
            name: _MASK if _SECRET.search(str(name)) else value
            for name, value in (self.context or {}).items()
        }


class Fatal(Hyper2KvmError):
    """The program cannot go on."""


class VMwareError(Hyper2KvmError):
    """Something with vSphere, or with the daemon that talks to it, did not work."""


def wrap_fatal(msg: str, cause: BaseException | None = None, **context: Any) -> Fatal:
    """The error to raise from ``cause``."""
    return Fatal(FATAL_CODE, msg, cause, context or None)


def wrap_vmware(msg: str, cause: BaseException | None = None, **context: Any) -> VMwareError:
    """The error to raise from ``cause``; its code is 50."""
    return VMwareError(VMWARE_CODE, msg, cause, context or None)
