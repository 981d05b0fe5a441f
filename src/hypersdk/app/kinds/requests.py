"""From the JSON of a job's request to its record, and what is wrong with it in words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from hypersdk.config.secrets import SecretReference
from hypersdk.contract.base import Answer, Asked
from hypersdk.model.errors import InvalidInput

A = TypeVar("A", bound=Asked)


def asked(model: type[A], request: Mapping[str, Any], *, under: str = "request") -> A:
    """Raises InvalidInput naming each wrong field, and the nearest one for an unknown field.

    ``under``: where the request stands, for the paths of its fields.
    """
    try:
        return model.model_validate(dict(request))
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False, include_input=False)
    said, hints = [], []
    for problem in problems:
        path = _path(under, problem["loc"])
        if problem["type"] == "extra_forbidden":
            said.append(f"there is no field {path}")
            hints.append(_nearest(model, problem["loc"]))
        elif problem["type"] == "missing":
            said.append(f"{path} is missing")
        else:
            said.append(f"{path}: {problem['msg'][:1].lower()}{problem['msg'][1:]}")
    hint = " ".join(dict.fromkeys(filter(None, hints)))
    raise InvalidInput("; ".join(said), hint=hint or f"Its fields are {_fields(model)}.")


def answer(result: Answer) -> dict[str, Any]:
    """As JSON."""
    return result.model_dump(mode="json")


def same(kind: str, request: Asked) -> str:
    """Key by which two requests are the same job."""
    text = json.dumps(request.model_dump(mode="json"), sort_keys=True)
    return f"{kind}:{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def reference(text: str, field: str) -> SecretReference | None:
    """None when nothing was said. Raises InvalidInput for a plain secret, without repeating it."""
    if not text:
        return None
    try:
        found = SecretReference.parse(text)
    except InvalidInput as error:
        raise InvalidInput(f"request.{field}: {error.message}", hint=error.hint) from None
    if found.kind == "prompt":
        raise InvalidInput(
            f"request.{field}: a job has no terminal to ask on",
            hint="Use env:NAME, file:PATH or keyring:SERVICE/USER.",
        )
    return found


def refuse(wrong: object, problem: str, hint: str) -> None:
    """Raise InvalidInput when something is wrong."""
    if wrong:
        raise InvalidInput(problem, hint=hint)


def _path(under: str, steps: Sequence[int | str]) -> str:
    return under + "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)


def _nearest(model: type[BaseModel], steps: Sequence[int | str]) -> str:
    for step in steps[:-1]:
        if isinstance(step, str) and step in model.model_fields:
            model = _record_in(model.model_fields[step].annotation) or model
    near = get_close_matches(str(steps[-1]), model.model_fields, n=1, cutoff=0.5)
    return f"Did you mean {near[0]}?" if near else f"Known are {_fields(model)}."


def _record_in(annotation: Any) -> type[BaseModel] | None:
    """The record that a field holds, or may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(_record_in, get_args(annotation))), None)


def _fields(model: type[BaseModel]) -> str:
    return ", ".join(model.model_fields)
