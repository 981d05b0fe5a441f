"""From file, environment and flags to settings, or to everything that is wrong with them.

A value comes, first match, from the caller (a flag), the environment, the file, the default.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from hypersdk.config.daemon import known
from hypersdk.config.daemon.environment import read_environment, without_none
from hypersdk.config.daemon.files import (
    SettingsFile,
    Steps,
    find_settings_file,
    read_settings_file,
)
from hypersdk.config.daemon.settings import DaemonSettings
from hypersdk.model.errors import InvalidInput

_SAID = {
    "string_type": "text is expected",
    "bool_parsing": "true or false is expected",
    "bool_type": "true or false is expected",
    "int_parsing": "a whole number is expected",
    "int_type": "a whole number is expected",
    "int_from_float": "a whole number is expected",
    "float_parsing": "a number is expected",
    "float_type": "a number is expected",
    "list_type": "a list is expected",
    "dict_type": "a mapping is expected",
    "model_type": "a mapping is expected",
    "path_type": "a path is expected",
    "missing": "is missing",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. Repeats no value: it may be a secret in the wrong place."""

    #: ``limits.body``, ``webhooks[0].url``; empty: all of it.
    key: str
    message: str
    hint: str = ""
    #: ``/etc/hypersdk/hypervisord.yaml, line 3`` or ``HYPERVISORD_LIMITS__BODY``.
    place: str = ""

    def __str__(self) -> str:
        where = ": ".join(each for each in (self.place, self.key) if each)
        return f"{where}: {self.message}" if where else self.message


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found. Either there are settings, or problems."""

    settings: DaemonSettings | None = None
    problems: tuple[Problem, ...] = ()
    #: The file that was read; None: there is none.
    file: Path | None = None
    #: Path of a setting that is no default → where it comes from.
    sources: Mapping[Steps, str] = field(default_factory=dict)


def load_daemon_settings(path: str | Path | None = None, **given: Any) -> DaemonSettings:
    """The settings in force now. ``given`` (where not None) wins over environment and file.

    Raises InvalidInput naming what is wrong first, and how much more is.
    """
    examined = examine_daemon_settings(path, **given)
    if examined.settings is not None:
        return examined.settings
    first, more = examined.problems[0], len(examined.problems) - 1
    hint = first.hint
    if more:
        hint = f"{hint} There are {more} more; see: hypervisord config check".strip()
    raise InvalidInput(str(first), hint=hint)


def examine_daemon_settings(
    path: str | Path | None = None, *, environment: Mapping[str, str] | None = None, **given: Any
) -> Examined:
    """Everything that is wrong, at once."""
    found: Path | None = None
    variables = os.environ if environment is None else environment
    try:
        found = find_settings_file(path)
        file = read_settings_file(found)
        chosen = read_environment(variables)
    except InvalidInput as error:
        return Examined(problems=(Problem("", error.message, error.hint),), file=found)
    document, sources = _join(file, chosen, given)
    _add_vsphere(document, sources, variables)
    try:
        return Examined(DaemonSettings.model_validate(document), (), found, sources)
    except ValidationError as error:
        problems = error.errors(include_input=False, include_url=False, include_context=False)
        problems.sort(key=lambda each: file.line(each["loc"]) or 0)
        said = tuple(dict.fromkeys(_problem(each, file, sources) for each in problems))
        return Examined(problems=said, file=found, sources=sources)


def _join(
    file: SettingsFile, environment: Mapping[Steps, tuple[str, Any]], given: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[Steps, str]]:
    document = copy.deepcopy(dict(file.content))
    sources: dict[Steps, str] = {}
    for steps in _leaves(document):
        line = file.line(steps)
        sources[steps] = f"{file.path}" + (f", line {line}" if line else "")
    for steps, (name, value) in environment.items():
        _put(document, steps, value)
        sources[steps] = name
    for name, value in given.items():
        for steps, each in _flat(value, (name,)):
            if each is not None:
                _put(document, steps, each)
                sources[steps] = f"--{name.replace('_', '-')}"
    return document, sources


def _flat(value: Any, path: Steps) -> list[tuple[Steps, Any]]:
    if isinstance(value, Mapping):
        return [found for name, each in value.items() for found in _flat(each, (*path, name))]
    return [(path, value)]


def _leaves(value: Any, path: Steps = ()) -> list[Steps]:
    if isinstance(value, Mapping) and (value or not path):
        return [found for name, each in value.items() for found in _leaves(each, (*path, name))]
    if isinstance(value, list) and value:
        return [found for at, each in enumerate(value) for found in _leaves(each, (*path, at))]
    return [path]


def _put(document: dict[str, Any], steps: Steps, value: Any) -> None:
    place = document
    for step in steps[:-1]:
        inner = place.get(str(step))
        if not isinstance(inner, dict):
            inner = place[str(step)] = {}
        place = inner
    place[str(steps[-1])] = value


def _add_vsphere(
    document: dict[str, Any], sources: dict[Steps, str], environment: Mapping[str, str]
) -> None:
    """GOVC_URL is a hypervisor that need not be named."""
    hypervisors = document.setdefault("hypervisors", {})
    wanted = environment.get("GOVC_URL") and isinstance(hypervisors, dict)
    if wanted and known.VSPHERE_NAME not in hypervisors:
        hypervisors[known.VSPHERE_NAME] = known.VSPHERE_URL
        sources["hypervisors", known.VSPHERE_NAME] = "GOVC_URL"


def _problem(problem: ErrorDetails, file: SettingsFile, sources: Mapping[Steps, str]) -> Problem:
    steps: Steps = tuple(problem["loc"])
    place = _place(steps, file, sources)
    if problem["type"] == "extra_forbidden":
        return _unknown(steps, place)
    said = _SAID.get(problem["type"], _plain(problem["msg"]))
    return Problem(written(steps), said, place=place)


def _plain(said: str) -> str:
    """Of the library's words, what a person needs."""
    return said.removeprefix("Value error, ").replace("Input should be", "it must be", 1)


def _place(steps: Steps, file: SettingsFile, sources: Mapping[Steps, str]) -> str:
    for end in range(len(steps), 0, -1):
        if steps[:end] in sources:
            return sources[steps[:end]]
    if file.path is None:
        return ""
    line = file.line(steps)
    return f"{file.path}" + (f", line {line}" if line else "")


def _unknown(steps: Steps, place: str) -> Problem:
    name = str(steps[-1])
    hint = known.original_hint(name)
    if not hint:
        names = sorted(_neighbours(steps))
        near = get_close_matches(name, names, n=1, cutoff=0.5)
        hint = (f"Did you mean {near[0]}? " if near else "") + f"There are {', '.join(names)}."
    return Problem(written(steps), "there is no such setting", hint, place)


def _neighbours(steps: Sequence[str | int]) -> set[str]:
    """Names that may stand where the last step stands."""
    kind: Any = DaemonSettings
    for step in steps[:-1]:
        kind = without_none(kind)
        if get_origin(kind) is list:
            kind = get_args(kind)[0]
        elif get_origin(kind) is dict:
            kind = get_args(kind)[1]
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = kind.model_fields[str(step)].annotation
    kind = without_none(kind)
    return (
        set(kind.model_fields) if isinstance(kind, type) and issubclass(kind, BaseModel) else set()
    )


def written(steps: Steps) -> str:
    """``limits.body``, ``webhooks[0].url``."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return text.removeprefix(".")
