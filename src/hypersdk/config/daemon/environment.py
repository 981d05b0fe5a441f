"""Settings from the environment: ``HYPERVISORD_LISTEN``, ``HYPERVISORD_WORKERS__SLOTS``.

Two underscores go into a section. Lists may be separated by commas; mappings are JSON.
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

from hypersdk.config.daemon import known
from hypersdk.config.daemon.files import FILE_VARIABLE, Steps
from hypersdk.config.daemon.settings import DaemonSettings
from hypersdk.model.errors import InvalidInput

PREFIX = "HYPERVISORD_"
#: Of the daemon's clients.
_OTHERS = frozenset({"HYPERVISORD_URL", "HYPERVISORD_TOKEN", "HYPERVISORD_PROFILE"})
#: How alike a variable must be to one of ours to be taken for a misspelt one; others may hold
#: secrets (``env:HYPERVISORD_PASSPHRASE``).
_ALIKE = 0.8


def fields(kind: type[BaseModel] = DaemonSettings, path: Steps = ()) -> Iterator[tuple[Steps, Any]]:
    """Every setting with its type, sections opened: ``("workers", "slots"), int``."""
    for name, field in kind.model_fields.items():
        inner = without_none(field.annotation)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from fields(inner, (*path, name))
        else:
            yield (*path, name), inner


def without_none(kind: Any) -> Any:
    """``X | None`` → ``X``."""
    if get_origin(kind) in {types.UnionType, Union}:
        rest = [each for each in get_args(kind) if each is not type(None)]
        return rest[0] if len(rest) == 1 else kind
    return kind


def variable(path: Steps) -> str:
    """The variable that sets a setting."""
    return PREFIX + "__".join(str(step).upper() for step in path)


def read_environment(environment: Mapping[str, str]) -> dict[Steps, tuple[str, Any]]:
    """Path of a setting → variable, value. Raises InvalidInput for a misspelt name, and for what
    is not JSON."""
    _refuse_misspelt(environment)
    found: dict[Steps, tuple[str, Any]] = {}
    for name, place in known.VARIABLES.items():
        if environment.get(name):
            found[place] = (name, environment[name])
    for steps, kind in fields():
        name = variable(steps)
        if environment.get(name):
            found[steps] = (name, _value(name, environment[name], kind))
    return found


def _refuse_misspelt(environment: Mapping[str, str]) -> None:
    ours = {FILE_VARIABLE, *_OTHERS, *(variable(steps) for steps, _ in fields())}
    for name in sorted(set(environment) - ours):
        near = get_close_matches(name, ours, n=1, cutoff=_ALIKE)
        if name.startswith(PREFIX) and near:
            raise InvalidInput(
                f"unknown environment variable {name}", hint=f"Did you mean {near[0]}?"
            )


def _value(name: str, text: str, kind: Any) -> Any:
    origin = get_origin(kind)
    if origin is list and not text.startswith("["):
        return [each.strip() for each in text.split(",") if each.strip()]
    if origin not in {list, dict}:
        return text
    try:
        return json.loads(text)
    except ValueError:
        raise InvalidInput(
            f"{name} is not JSON",
            hint=f"""Write it like {PREFIX}HYPERVISORS='{{"lab": "mock:///srv/lab"}}'.""",
        ) from None
