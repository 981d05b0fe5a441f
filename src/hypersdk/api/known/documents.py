"""Bodies that may be JSON or YAML, read without trust and checked with names of their fields."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

import yaml
from fastapi import Depends, Request
from pydantic import BaseModel, ValidationError

from hypersdk.api.names import fields_at, nearest, path_of
from hypersdk.model.errors import InvalidInput
from hypersdk.observe.redact import redact_text

M = TypeVar("M", bound=BaseModel)

_YAML = frozenset({"application/x-yaml", "application/yaml", "text/yaml", "text/x-yaml"})
_JSON = frozenset({"application/json"})
_HINT = "Send JSON, or YAML with Content-Type: application/x-yaml."


async def _raw(request: Request) -> tuple[bytes, str]:
    return await request.body(), request.headers.get("content-type", "")


#: Bytes and content type of a request, for handlers whose body is read here.
RawBody = Annotated[tuple[bytes, str], Depends(_raw)]


def parsed(body: tuple[bytes, str]) -> Any:
    """By the content type; of no known one: JSON, else YAML. Raises InvalidInput."""
    content, header = body
    kind = header.partition(";")[0].strip().lower()
    try:
        text = content.decode()
        if kind in _YAML:
            return _yaml(text)
        try:
            return json.loads(text)
        except ValueError:
            if kind in _JSON:
                raise
            return _yaml(text)
    except (ValueError, yaml.YAMLError, RecursionError) as error:
        said = redact_text(str(error).partition("\n")[0]) or "it is nested too deeply"
        raise InvalidInput(f"the body cannot be read: {said}", hint=_HINT) from None


def checked(model: type[M], document: Any, place: str) -> M:
    """``document`` as a record. ``place``: where it stands, for messages: ``jobs[1]``. Raises
    InvalidInput naming the field, with the nearest name for one that there is not."""
    try:
        return model.model_validate(document)
    except ValidationError as error:
        details = error.errors(include_input=False, include_url=False, include_context=False)
        # An unknown field first: it is often the reason why another is missing.
        details.sort(key=lambda each: each["type"] != "extra_forbidden")
        raise _invalid(model, details[0], place) from None


def _invalid(model: type[BaseModel], detail: Mapping[str, Any], place: str) -> InvalidInput:
    where: Sequence[str | int] = detail["loc"]
    path = ".".join(each for each in (place, path_of(where)) if each) or "the body"
    if detail["type"] == "extra_forbidden":
        meant = nearest(str(where[-1]), fields_at(model, where[:-1]))
        return InvalidInput(
            f"{path}: there is no such field",
            hint=f"Did you mean {meant}?" if meant else "docs/known-api.md has the fields.",
        )
    message = str(detail["msg"])
    return InvalidInput(
        f"{path}: {redact_text(message[:1].lower() + message[1:])}",
        hint="docs/known-api.md has the fields.",
    )


def _yaml(text: str) -> Any:
    return yaml.load(text, Loader=_PlainLoader)  # noqa: S506 - it is a SafeLoader


class _PlainLoader(yaml.SafeLoader):
    """Refuses aliases, by which a few lines become gigabytes. Times stay text, as in JSON."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.MarkedYAMLError(problem="aliases are not allowed")
        return super().compose_node(parent, index)


_PlainLoader.yaml_implicit_resolvers = {
    letter: [(tag, form) for tag, form in pairs if tag != "tag:yaml.org,2002:timestamp"]
    for letter, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
