"""Instance specs from files: YAML, JSON or TOML, or a mapping, checked field by field.

Nothing is guessed and nothing ignored: an unknown field is refused with its path and the nearest
name, also deep inside (``disks[1].siez``), a name that is given twice as well, and text is not
taken for a number. Only sizes may be text: ``10GiB``.

Messages name fields and never repeat values: variables and first-boot settings hold secrets.
"""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
import types
from collections.abc import Collection, Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn, Union, get_args, get_origin, get_type_hints

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from hypersdk.model.errors import InvalidInput
from hypersdk.model.specs import DiskSpec, InstanceSpec
from hypersdk.model.units import parse_size

#: Fields that hold bytes.
_SIZES: Mapping[Any, Collection[str]] = {
    InstanceSpec: {"memory", "memory_maximum"},
    DiskSpec: {"size"},
}
#: Specs are small; more is a mistake or hostile.
_BYTES_MAX = 1 << 20
_STEP = re.compile(r"([A-Za-z_][\w-]*)((?:\[\d+\])*)")
_INDEX = re.compile(r"\[(\d+)\]")


class _Document(BaseModel):
    """Its settings hold for the dataclasses inside as well, which know nothing of pydantic."""

    model_config = ConfigDict(extra="forbid", strict=True)

    spec: InstanceSpec


def load_spec(
    source: str | Path | Mapping[str, Any], changes: Sequence[tuple[str, str]] = ()
) -> InstanceSpec:
    """The spec in a file (``.yaml``, ``.yml``, ``.json``, ``.toml``) or in a mapping.

    ``changes`` are applied on top, in order: ``("disks[0].size", "20GiB")``, ``("tags.site",
    "lab")``. Raises InvalidInput naming the field.
    """
    if isinstance(source, Mapping):
        name, found = "", dict(source)
    else:
        name, found = f"{source}: ", _read(Path(source))
    try:
        # A copy through JSON: lists and dicts only, and nothing of the caller's is changed.
        document = json.loads(json.dumps(found, allow_nan=False))
    except (TypeError, ValueError, RecursionError):
        raise InvalidInput(
            f"{name}the spec holds something other than text, numbers, lists and mappings",
            hint="Write dates in quotes.",
        ) from None
    for path, text in changes:
        _change(document, path, text)
    _parse_sizes(document, InstanceSpec, "", name)
    try:
        return _Document.model_validate_json(json.dumps({"spec": document})).spec
    except ValidationError as error:
        raise _invalid(error.errors(include_input=False, include_url=False)[0], name) from None


def _read(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            data = file.read(_BYTES_MAX + 1)
        if len(data) > _BYTES_MAX:
            raise InvalidInput(f"{path} is larger than 1 MiB and no spec")
        return _parse(path.suffix.lower(), data.decode())
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is not UTF-8 text") from error
    except yaml.MarkedYAMLError as error:
        line = f" in line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InvalidInput(f"{path} is not YAML: {error.problem}{line}") from error
    except (json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise InvalidInput(f"{path} cannot be read") from error


def _parse(suffix: str, text: str) -> Any:
    match suffix:
        case ".yaml" | ".yml":
            return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - it is a SafeLoader
        case ".json":
            return json.loads(text, object_pairs_hook=_unique)
        case ".toml":
            return tomllib.loads(text)
    raise InvalidInput(
        f"a spec in a file '*{suffix}' cannot be read",
        hint="Call it .yaml, .json or .toml, whichever it is.",
    )


class _StrictLoader(yaml.SafeLoader):
    """Refuses names given twice, and aliases, by which a few lines become gigabytes."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="aliases are not allowed in specs")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        names = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in names:
                raise yaml.MarkedYAMLError(
                    problem=f"'{key.value}' is given twice", problem_mark=key.start_mark
                )
            names.add(key.value if isinstance(key, yaml.ScalarNode) else None)
        return super().construct_mapping(node, deep)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(f"'{twice}' is given twice in the spec")
    return found


def _parse_sizes(value: Any, kind: Any, path: str, name: str) -> None:
    """Make numbers of sizes that are text, in place; what is malformed is left for pydantic."""
    if isinstance(value, list):
        item = next(iter(get_args(kind)), None)
        for index, each in enumerate(value):
            _parse_sizes(each, item, f"{path}[{index}]", name)
    if not isinstance(value, dict) or not dataclasses.is_dataclass(kind):
        return
    types_ = get_type_hints(kind)
    for field, each in value.items():
        if field in _SIZES.get(kind, ()) and isinstance(each, str):
            try:
                value[field] = parse_size(each)
            except InvalidInput as error:
                raise InvalidInput(
                    f"{name}{_joined(path, field)}: not a size", hint=error.hint
                ) from None
        else:
            _parse_sizes(each, types_.get(field), _joined(path, field), name)


def _joined(path: str, field: str) -> str:
    return f"{path}.{field}" if path else field


def _change(document: Any, path: str, text: str) -> None:
    """Set one field of ``document``. Raises InvalidInput for a path that leads nowhere."""
    place: Any = document
    kind: Any = InstanceSpec
    steps = list(_steps(path))
    for number, step in enumerate(steps):
        kind = _kind_of(kind, step, path, steps[:number])
        room = len(place) if isinstance(place, list) else 0
        fits = step <= room if isinstance(step, int) else isinstance(place, dict)
        if not fits:
            _nowhere(path, steps[:number])
        if number == len(steps) - 1:
            value = _value(kind, text, path)
        else:
            value = place[step] if _has(place, step) else None
            if value is None:
                value = [] if isinstance(steps[number + 1], int) else {}
        if isinstance(place, list) and step == room:
            place.append(value)
        else:
            place[step] = value
        place = value


def _has(place: Any, step: str | int) -> bool:
    return step < len(place) if isinstance(step, int) else step in place


def _steps(path: str) -> Iterable[str | int]:
    """``disks[0].size`` → "disks", 0, "size". What follows a mapping's name is one name."""
    head, _, rest = path.partition(".")
    if head in {"tags", "env"} and rest:
        return [head, rest]
    steps: list[str | int] = []
    for part in path.split("."):
        match = _STEP.fullmatch(part)
        if match is None:
            raise InvalidInput(
                f"'{path}' is no field of a spec", hint="Write it like disks[0].size."
            )
        steps += [match[1], *(int(index) for index in _INDEX.findall(match[2]))]
    return steps


def _kind_of(kind: Any, step: str | int, path: str, before: Sequence[str | int]) -> Any:
    """The type of what ``step`` leads to."""
    kind = _without_none(kind)
    origin = get_origin(kind)
    if isinstance(step, int):
        if origin is not tuple:
            _nowhere(path, before)
        return get_args(kind)[0]
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        if step not in hints:
            raise _unknown([*before, step], "")
        return hints[step]
    if origin is None or origin is tuple:
        _nowhere(path, before)
    return get_args(kind)[1]


def _without_none(kind: Any) -> Any:
    if get_origin(kind) in {types.UnionType, Union}:
        return next(each for each in get_args(kind) if each is not type(None))
    return kind


def _value(kind: Any, text: str, path: str) -> Any:
    """``text`` as what the field holds; lists and mappings are written as in YAML."""
    if kind is str:
        return text
    if kind is int and not text.lstrip("-").isdigit():
        return text  # a size, or pydantic says what is wrong with it
    try:
        return yaml.load(text, Loader=_StrictLoader)  # noqa: S506 - it is a SafeLoader
    except yaml.YAMLError:
        raise InvalidInput(f"{path}: this value cannot be read") from None


def _nowhere(path: str, before: Sequence[str | int]) -> NoReturn:
    raise InvalidInput(
        f"'{path}' leads nowhere: there is nothing like that in {_path(before) or 'the spec'}",
        hint="Write it like disks[0].size; lists are counted from 0 without gaps.",
    )


_KINDS = {
    "string_type": "text is expected; write it in quotes",
    "int_type": "a whole number is expected",
    "int_parsing": "a whole number is expected",
    "float_type": "a number is expected",
    "bool_type": "true or false is expected",
    "tuple_type": "a list is expected",
    "dict_type": "a mapping is expected",
    "dataclass_type": "a mapping of fields is expected",
    "missing": "is missing",
}


def _invalid(problem: ErrorDetails, name: str) -> InvalidInput:
    path = list(problem["loc"])[1:]
    if problem["type"] == "unexpected_keyword_argument":
        return _unknown(path, name)
    said = _KINDS.get(problem["type"], problem["msg"])
    return InvalidInput(f"{name}{_path(path) or 'the spec'}: {said}")


def _unknown(path: Sequence[str | int], name: str) -> InvalidInput:
    """The error for a field that there is not; its neighbours are those of its dataclass."""
    kind: Any = InstanceSpec
    for step in path[:-1]:
        kind = _without_none(
            get_args(kind)[0] if isinstance(step, int) else get_type_hints(kind)[step]
        )
    known = [field.name for field in dataclasses.fields(kind)]
    near = get_close_matches(str(path[-1]), known, n=1, cutoff=0.5)
    meant = f"Did you mean {near[0]}? " if near else ""
    return InvalidInput(
        f"{name}unknown field {_path(path)}", hint=f"{meant}The fields are {', '.join(known)}."
    )


def _path(steps: Sequence[str | int]) -> str:
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return text.removeprefix(".")
