"""Which field somebody meant who wrote another one."""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel


def path_of(place: Sequence[str | int]) -> str:
    """``("body", "jobs", 0, "kind")`` → ``body.jobs[0].kind``. Names in round brackets are those
    of forms that a body can have, and no part of it."""
    text = ""
    for step in place:
        if isinstance(step, int):
            text += f"[{step}]"
        elif not (step.startswith("(") and step.endswith(")")):
            text += f".{step}" if text else step
    return text


def nearest(name: str, known: Sequence[str]) -> str:
    """The one of ``known`` that ``name`` resembles; empty when none does."""
    return next(iter(get_close_matches(name, known, n=1, cutoff=0.6)), "")


def fields_at(kind: Any, place: Sequence[str | int]) -> tuple[str, ...]:
    """Names of the fields that there are at ``place`` inside ``kind``; empty when not known."""
    models = list(_models(kind))
    for step in place:
        if isinstance(step, int) or step.startswith("("):
            continue  # lists and forms were looked through already
        found = [each.model_fields[step].annotation for each in models if step in each.model_fields]
        models = [model for annotation in found for model in _models(annotation)]
    return tuple(dict.fromkeys(name for model in models for name in model.model_fields))


def _models(kind: Any) -> Iterator[type[BaseModel]]:
    """Records that a value of a type holds, itself or in lists and unions."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        yield kind
    elif get_origin(kind) in (Union, types.UnionType, list, tuple, Annotated):
        for each in get_args(kind):
            yield from _models(each)
