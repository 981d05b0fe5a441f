"""Records as JSON and back: ``results.json``, the lines between runner and child, the history.

The members are the fields of the dataclasses. Enums are their values, moments ISO 8601 in UTC,
durations seconds. Members that are not known are ignored: a later version may have added them.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from hypersdk.conformance.results import Run
from hypersdk.model.errors import InvalidInput

T = TypeVar("T")

#: Grows when an old reader would misunderstand.
FORMAT = 1


def plain(value: Any) -> Any:
    """``value`` of dicts, lists and scalars only."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        text = value.astimezone(UTC).isoformat(timespec="milliseconds")
        return text.removesuffix("+00:00") + "Z"
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, tuple | list | frozenset):
        return [plain(each) for each in value]
    return value


def record(kind: type[T], raw: object) -> T:
    """The dataclass ``kind`` from what `plain` made of it. Raises InvalidInput."""
    try:
        return cast("T", _read(kind, raw))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InvalidInput(f"this is no {kind.__name__}: {error!r}") from error


def run_document(run: Run) -> dict[str, Any]:
    """Content of ``results.json``; its schema is docs/schemas/conform-run.json, ``$defs/run``."""
    return {"format": FORMAT, **plain(run)}


def write_run(run: Run, path: Path) -> None:
    path.write_text(json.dumps(run_document(run), indent=1) + "\n", encoding="utf-8")


def read_run(path: Path) -> Run:
    """Raises InvalidInput for a file that is missing or holds something else."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise InvalidInput(f"{path} is not JSON: {error}") from error
    if not isinstance(raw, dict) or "format" not in raw:
        raise InvalidInput(
            f"{path} holds no results of the conformance kit",
            hint="Name a results.json that 'hypersdk conform run --report DIR' has written.",
        )
    if raw["format"] != FORMAT:
        raise InvalidInput(
            f"{path} has format {raw['format']}, this version reads {FORMAT}",
            hint="Read it with the version of HyperSDK that wrote it, or run the kit again.",
        )
    try:
        return record(Run, raw)
    except InvalidInput as error:
        raise InvalidInput(f"{path} is damaged: {error.message}") from error


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _read(kind: Any, raw: Any) -> Any:
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, types.UnionType):
        (inner,) = (each for each in arguments if each is not types.NoneType)
        return None if raw is None else _read(inner, raw)
    if origin is tuple:
        if not isinstance(raw, list):
            raise TypeError(f"{raw!r} is no list")
        return tuple(_read(arguments[0], each) for each in raw)
    if origin is not None:  # a mapping of texts to scalars
        return {str(key): _read(arguments[1], each) for key, each in raw.items()}
    if is_dataclass(kind):
        hints = _hints(cast("type", kind))
        make = cast("Callable[..., Any]", kind)
        return make(**{name: _read(hints[name], raw[name]) for name in hints})
    if kind is datetime:
        return datetime.fromisoformat(raw)
    if issubclass(kind, Enum):
        return kind(raw)
    if kind is float and isinstance(raw, int) and not isinstance(raw, bool):
        return float(raw)
    if not isinstance(raw, kind):
        raise TypeError(f"{raw!r} is no {kind.__name__}")
    return raw
