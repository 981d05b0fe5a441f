"""Reports in files: HTML, JSON or text by the file's ending. Everything in HTML is escaped."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from hypersdk import InvalidInput, MissingRequirement
from hypersdk.cli.terminal import Document

_TEMPLATES = Path(__file__).parent / "templates"


def write(
    file: Path,
    template: str,
    document: Document,
    text: Iterable[str],
    shown: Mapping[str, object] | None = None,
) -> None:
    """Write the report that the file's name asks for. ``shown``: what the page is made of, when it
    is more than the document. Raises InvalidInput, MissingRequirement."""
    suffix = file.suffix.lower()
    if suffix in (".html", ".htm"):
        content = page(template, shown or document)
    elif suffix == ".json":
        content = json.dumps(document, indent=2) + "\n"
    else:
        content = "\n".join(text) + "\n"
    unfinished = file.with_name(f".{file.name}.partial")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as output:
            output.write(content)
        os.replace(unfinished, file)
    except OSError as error:
        raise InvalidInput(f"cannot write {file}: {error.strerror}") from error


def page(template: str, document: Mapping[str, object]) -> str:
    """One HTML page that needs nothing else: no script, no font, no picture from anywhere."""
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as error:
        raise MissingRequirement(
            "an HTML report needs jinja2, which is not installed",
            hint="Install it with: pip install 'hypersdk[export]', or name a .txt or .json file.",
        ) from error
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(document)
