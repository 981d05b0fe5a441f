"""Comparing the command's JSON with docs/schemas."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from tests.docs.tree import resolve

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"


@cache
def validator(name: str) -> Draft202012Validator:
    """Of one schema, which may refer to its neighbours."""
    resources = [
        (path.name, Resource.from_contents(json.loads(path.read_text())))
        for path in FOLDER.glob("*.json")
    ]
    registry: Registry[Any] = Registry().with_resources(resources)
    return Draft202012Validator(json.loads((FOLDER / name).read_text()), registry=registry)


def check(arguments: Sequence[str], status: int, document: dict[str, object]) -> None:
    """Raise when the output of a command is not what its schema says."""
    assert ("error" in document) == (status != 0)
    path, command, _ = resolve(arguments)
    if command is not None:
        validator(f"{'-'.join(path)}.json").validate(document)
