"""JSON and YAML files that commands hand to the daemon."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from hypersdk.model.errors import InvalidInput

#: Bytes.
_MOST = 10 << 20


def document(file: str) -> Any:
    """What is in a file; ``-``: standard input. Raises InvalidInput."""
    import yaml  # noqa: PLC0415 - few commands read files

    try:
        if file == "-":
            data = sys.stdin.buffer.read(_MOST + 1)
        else:
            with Path(file).open("rb") as opened:
                data = opened.read(_MOST + 1)
    except OSError as error:
        raise InvalidInput(f"cannot read {file}: {error.strerror}") from error
    if len(data) > _MOST:
        raise InvalidInput(f"{file} is larger than 10 MiB", hint="Submit it in several files.")
    try:
        text = data.decode()
        return json.loads(text) if text.lstrip()[:1] in ("{", "[") else yaml.safe_load(text)
    except (UnicodeDecodeError, json.JSONDecodeError, yaml.YAMLError) as error:
        reason = " ".join(str(error).split())
        raise InvalidInput(f"{file} is neither JSON nor YAML: {reason}") from error


def mapping(file: str) -> dict[str, Any]:
    """One with named fields. Raises InvalidInput."""
    found = document(file)
    if not isinstance(found, dict):
        raise InvalidInput(f"{file} holds no fields", hint="Write NAME: VALUE, or a JSON object.")
    return found
