"""ETags: a record's revision in quotes. Whoever changes a record may say which one it saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Header
from pydantic import BaseModel

from hypersdk.model.errors import InvalidInput, PreconditionFailed


@dataclass(frozen=True, slots=True)
class Answered:
    """A record with what goes into the head of its response."""

    record: BaseModel | None
    #: None: as the table of routes says.
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


def etag(revision: int) -> str:
    return f'"{revision}"'


def tagged(record: BaseModel, revision: int, *, at: str = "") -> Answered:
    """``record`` with its ETag; ``at``: the path of one that was just made."""
    headers = {"ETag": etag(revision)}
    if at:
        headers["Location"] = at
    return Answered(record, None, headers)


def same(asked: str, tag: str) -> bool:
    """Whether a header ``If-None-Match`` names ``tag``."""
    return asked.strip() == "*" or tag in {
        each.strip().removeprefix("W/") for each in asked.split(",")
    }


async def _if_match(
    if_match: Annotated[
        str | None, Header(description='ETag of the record as it was seen: `"3"`')
    ] = None,
) -> int | None:
    if if_match is None or if_match.strip() == "*":
        return None
    text = if_match.strip().removeprefix("W/").strip('"')
    if not text.isdecimal() or len(text) > 18:
        raise InvalidInput(
            "the header If-Match holds no ETag of ours",
            hint='Send back what the header ETag said, such as "3", or leave it out.',
        )
    return int(text)


#: Parameter of a handler that changes a record: the revision that its caller saw, or None.
IfMatch = Annotated[int | None, Depends(_if_match)]


def check(seen: int | None, now: int, what: str) -> None:
    """For stores that do not compare by themselves. Raises PreconditionFailed."""
    if seen is not None and seen != now:
        raise PreconditionFailed(
            f"{what} was changed since you read it", hint="Read it again, and change that."
        )
