"""What all records on the wire have in common."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

T = TypeVar("T")


def _in_utc(moment: datetime) -> datetime:
    if moment.tzinfo is UTC:
        return moment
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("should be a moment of the years 1 to 9999 in UTC") from error


#: With a time zone; answers are UTC.
Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]
#: Of hypervisors, repositories, tenants, users and schedules: safe in paths and file names.
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$")]


class Asked(BaseModel):
    """What a client sends: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Answer(BaseModel):
    """What the daemon sends: clients of an earlier version ignore fields that they do not know."""

    model_config = ConfigDict(extra="ignore", frozen=True, from_attributes=True)


class Page(Answer, Generic[T]):
    """Part of a list."""

    items: list[T]
    #: Give it as ``cursor`` for the next part; null on the last one.
    next: str | None = None


class Problem(Answer):
    """An error of ``/v1`` (RFC 9457, ``application/problem+json``)."""

    #: ``https://hypersdk.dev/problems/NotFound``: the class of the error behind the last slash.
    type: str
    title: str
    status: int
    #: What happened, and on what.
    detail: str
    #: What to do next.
    hint: str = ""
    #: Path of the request.
    instance: str = ""
    retryable: bool = False
    #: Of a request that was refused for its content: each field, and what is wrong with it.
    errors: list[FieldProblem] = []
    #: Seconds after which to try again.
    retry_after: float | None = None
    #: Of this request, as in the daemon's log.
    request_id: str = ""


class FieldProblem(Answer):
    """One wrong field of a request."""

    #: ``body.jobs[0].request.instance`` or ``query.limit``.
    field: str
    message: str


class OldError(Answer):
    """An error of the routes without a version."""

    error: str
    hint: str = ""
    timestamp: datetime


class Nothing(Answer):
    """No content."""


JsonObject = dict[str, Any]
Problem.model_rebuild()
