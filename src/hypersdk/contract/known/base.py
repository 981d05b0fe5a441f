"""What the records of the known routes have in common."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from hypersdk.contract.base import Answer, Moment


def absent(value: object) -> bool:
    """Whether a field is left out of an answer."""
    return value is None


#: Default of a field that an answer has only when there is something to say.
OPTIONAL: Any = Field(default=None, exclude_if=absent)


class Done(Answer):
    """Something was done."""

    status: str = "success"
    message: str


class Told(Answer):
    """Something was done; the shape of ``/vms`` and ``/vsphere``."""

    success: bool = True
    message: str
    timestamp: Moment


class Message(Answer):
    """Something was done; the shape of schedules and webhooks."""

    message: str
