"""Records of the daemon as tables, lines and JSON."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

import click
from pydantic import BaseModel, ValidationError

from hypersdk.cli import words
from hypersdk.cli.hyperctl.session import Session
from hypersdk.cli.hyperctl.showing import when
from hypersdk.cli.tables import Table, left
from hypersdk.model.errors import InvalidInput

#: Fields whose numbers are bytes.
_BYTES = re.compile(
    r"(bandwidth|bytes|cache|changed|memory|read|size|stored|unchanged|virtual|zero)"
    r"|(maximum_memory|memory_(available|maximum)|storage_available)"
)


def listed(
    session: Session,
    name: str,
    records: Iterable[Any],
    columns: Mapping[str, Callable[[Any], object]],
) -> None:
    """A table; with --json ``{name: [...]}``. ``columns``: title → what stands in it."""
    found = list(records)
    session.terminal.result({name: [each.model_dump(mode="json") for each in found]})
    table = Table(left(*columns))
    for each in found:
        table.add(*(text(value(each)) for value in columns.values()))
    session.terminal.table(table)
    if not found:
        session.terminal.note(f"There are no {name}.")


def shown(session: Session, record: BaseModel) -> None:
    """A line per field that has a value; with --json the record."""
    session.terminal.result(record.model_dump(mode="json"))
    fields(session, {name: getattr(record, name) for name in type(record).model_fields})


def fields(session: Session, values: Mapping[str, Any]) -> None:
    """``name: value``, aligned. Lists of records get a line each, below their name."""
    said = {name: value for name, value in values.items() if text(value, name)}
    width = max((len(name) for name in said), default=0) + 1
    for name, value in said.items():
        parts = value if _records(value) else ()
        session.terminal.line(
            f"{name + ':':<{width}} {'' if parts else text(value, name)}".rstrip()
        )
        for part in parts:
            session.terminal.line(f"  {text(part)}")


def _records(value: object) -> bool:
    return isinstance(value, list | tuple) and all(
        isinstance(each, BaseModel | Mapping) for each in value
    )


def text(value: object, name: str = "") -> str:
    """For people: no None, no braces around nothing. ``name``: of the field that it stands in."""
    match value:
        case None:
            return ""
        case BaseModel():
            return text(value.model_dump(mode="json", exclude_defaults=True))
        case Mapping():
            named = ((key, text(item, key)) for key, item in value.items())
            return ", ".join(f"{key}={item}" for key, item in named if item)
        case list() | tuple():
            return ", ".join(text(item, name) for item in value)
    return _plain(value, name)


def _plain(value: object, name: str) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case int() if _BYTES.fullmatch(name):
            return words.size(value)
        case float():
            return str(round(value, 3))
        case datetime():
            return when(value)
    return str(value)


def pairs(words: Iterable[str], option: str) -> dict[str, str]:
    """``a=b`` of an option that may be given several times. Raises click.UsageError."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals):
            raise click.UsageError(f"{option} is written NAME=VALUE, not '{word}'")
        found[name] = value
    return found


def misread(error: BaseException) -> BaseException:
    """What a record refuses, as an error that names its fields. Any other stays as it is."""
    if not isinstance(error, ValidationError):
        return error
    wrong = [f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()]
    return InvalidInput("; ".join(wrong))
