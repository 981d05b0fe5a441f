"""Read a configuration: from a TOML or JSON file, from the fields of a URL, over a preset.

What the URL says wins over the file it names with ``config=``, else over ``mock.toml`` in the
hypervisor's own folder; the file wins over its preset. Unknown names and values are refused with
the nearest one that exists.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import fields, replace
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from hypersdk.drivers.mock.config import Config, Kind, Limits, Rule
from hypersdk.drivers.mock.presets import PRESETS
from hypersdk.drivers.ports import PARTS
from hypersdk.model import errors
from hypersdk.model.errors import HyperSDKError, InvalidInput
from hypersdk.model.instances import InstanceState
from hypersdk.model.units import parse_size

#: Read from the folder of a hypervisor when the URL names no other file.
OWN_FILE = "mock.toml"

#: Fields of a URL besides ``config``: those that fit in one word.
_URL_FIELDS = ("profile", "seed", "jitter", "journal", "guest_agent", "obeys_stop", "without")

E = TypeVar("E", bound=Enum)


def configured(root: Path, query: Sequence[tuple[str, str]] = ()) -> Config:
    """What is in force for the hypervisor in ``root``, opened with these fields of a URL.

    Raises InvalidInput for what makes no sense, and for a file that the URL names and that
    cannot be read.
    """
    given: dict[str, Any] = {}
    for name, value in query:
        _known(name, (*_URL_FIELDS, *_names(Limits), "config"), "field of a mock URL")
        given[name] = value
    content: dict[str, Any] = {}
    named = given.pop("config", "")
    if named or (root / OWN_FILE).exists():
        content = read_file(root / (named or OWN_FILE))
    if "without" in given:
        given["without"] = [part for part in given["without"].split(",") if part]
    limits = {name: given.pop(name) for name in _names(Limits) if name in given}
    if limits:
        given["limits"] = {**_table(content, "limits"), **limits}
    return parse({**content, **given})


def read_file(path: Path) -> dict[str, Any]:
    """Content of a TOML file, or of a JSON file when its name ends so."""
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise InvalidInput(
            f"the configuration {path} cannot be read: {error.strerror}",
            hint="Name a TOML or JSON file by its absolute path: ?config=/srv/mock.toml",
        ) from error
    except ValueError as error:
        raise InvalidInput(f"the configuration {path} is malformed: {error}") from error
    if not isinstance(content, dict):
        raise InvalidInput(f"the configuration {path} is no table of settings")
    return content


def parse(content: Mapping[str, Any]) -> Config:
    """A configuration as it is in a file. Raises InvalidInput."""
    for name in content:
        _known(name, _names(Config), "setting of a mock hypervisor")
    profile = str(content.get("profile", ""))
    if profile:
        _known(profile, PRESETS, "profile")
    base = PRESETS.get(profile, Config())
    read: dict[str, Callable[[Any], Any]] = {
        "seed": lambda value: _whole("seed", value),
        "jitter": lambda value: _share("jitter", value),
        "journal": lambda value: _flag("journal", value),
        "guest_agent": lambda value: _flag("guest_agent", value),
        "obeys_stop": lambda value: _flag("obeys_stop", value),
        "limits": lambda _: _limits(_table(content, "limits"), base.limits),
        "latency": lambda _: _latency(_table(content, "latency"), base.latency),
        "failures": _failures,
        "without": _without,
    }
    found = {name: read[name](value) for name, value in content.items() if name in read}
    return replace(base, **found)


def _limits(content: Mapping[str, Any], base: Limits) -> Limits:
    found = {}
    for name, value in content.items():
        _known(name, _names(Limits), "limit")
        read = _whole if name in {"instances", "vcpus"} else _size
        found[name] = read(name, value)
    return replace(base, **found)


def _latency(content: Mapping[str, Any], base: Mapping[str, float]) -> Mapping[str, float]:
    for operation in content:
        _operation(operation)
    return {**base, **{name: _seconds(name, value) for name, value in content.items()}}


def _failures(content: object) -> tuple[Rule, ...]:
    if not isinstance(content, list) or not all(isinstance(rule, dict) for rule in content):
        raise InvalidInput("'failures' is a list of tables", hint="Write [[failures]] for each.")
    return tuple(_rule(rule) for rule in content)


def _rule(content: Mapping[str, Any]) -> Rule:
    read: dict[str, Callable[[Any], Any]] = {
        "operation": _operation,
        "instance": str,
        "kind": lambda value: _one_of(value, Kind, "kind of failure"),
        "nth": lambda value: _whole("nth", value, least=1),
        "rate": lambda value: _share("rate", value),
        "times": lambda value: _whole("times", value),
        "error": _error,
        "message": str,
        "seconds": lambda value: _seconds("seconds", value),
        "calls": lambda value: _whole("calls", value),
        "state": lambda value: _one_of(value, InstanceState, "state"),
    }
    for name in content:
        _known(name, read, "field of a failure")
    rule = Rule(**{name: read[name](value) for name, value in content.items()})
    if rule.nth is not None and rule.rate is not None:
        raise InvalidInput("a failure has either 'nth' or 'rate'")
    return rule


def _operation(value: object) -> str:
    """Patterns cannot be checked further than the name of their part."""
    text = str(value)
    part = text.partition(".")[0]
    if not set("*?[") & set(part):
        _known(part, PARTS, "part of a hypervisor")
    return text


def _error(value: object) -> str:
    error_class(str(value))
    return str(value)


def error_class(name: str) -> type[HyperSDKError]:
    """The class of our tree that is called so. Raises InvalidInput."""
    tree = {
        found.__name__: found
        for found in vars(errors).values()
        if isinstance(found, type)
        and issubclass(found, HyperSDKError)
        and found is not errors.PartialFailure
    }
    _known(name, tree, "error")
    return tree[name]


def _without(value: object) -> frozenset[str]:
    if not isinstance(value, list):
        raise InvalidInput("'without' is a list of parts")
    for part in value:
        _known(str(part), PARTS, "part of a hypervisor")
    return frozenset(map(str, value))


def _known(name: str, known: Collection[str], what: str) -> None:
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=1)
    question = f"Did you mean {near[0]}? " if near else ""
    raise InvalidInput(f"no {what} is called '{name}'", hint=f"{question}{_listed(known)}")


def _listed(known: Collection[str]) -> str:
    return f"There are: {', '.join(sorted(known))}."


def _one_of(value: object, kind: type[E], what: str) -> E:
    _known(str(value), [member.value for member in kind], what)
    return kind(str(value))


def _names(record: type) -> list[str]:
    return [field.name for field in fields(record)]


def _table(content: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = content.get(name, {})
    if not isinstance(found, dict):
        raise InvalidInput(f"'{name}' is a table of settings", hint=f"Write [{name}].")
    return found


def _whole(name: str, value: object, least: int = 0) -> int:
    try:
        number = int(str(value))
    except ValueError:
        number = least - 1
    if number < least or isinstance(value, bool):
        raise InvalidInput(f"'{name}' is a whole number from {least}, not {value!r}")
    return number


def _size(name: str, value: object) -> int:
    try:
        return parse_size(str(value))
    except InvalidInput as error:
        raise InvalidInput(f"'{name}': {error.message}", hint=error.hint) from error


def _share(name: str, value: object) -> float:
    number = _number(name, value)
    if not 0 <= number <= 1:
        raise InvalidInput(f"'{name}' is a share from 0 to 1, not {value!r}")
    return number


def _seconds(name: str, value: object) -> float:
    number = _number(name, value)
    if not 0 <= number < float("inf"):
        raise InvalidInput(f"'{name}' is a time in seconds, not {value!r}")
    return number


def _number(name: str, value: object) -> float:
    try:
        return float(str(value))
    except ValueError as error:
        raise InvalidInput(f"'{name}' is a number, not {value!r}") from error


def _flag(name: str, value: object) -> bool:
    words = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
    found = words.get(str(value).lower())
    if found is None:
        raise InvalidInput(f"'{name}' is true or false, not {value!r}")
    return found
