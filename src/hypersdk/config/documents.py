"""Small documents in files: TOML and JSON read, TOML written for its owner alone."""

from __future__ import annotations

import json
import os
import tempfile
import tomllib
from pathlib import Path
from typing import Any

from hypersdk.model.errors import InvalidInput

#: They are small; more is a mistake or hostile.
_BYTES_MAX = 256 << 10


def read_document(path: Path) -> dict[str, Any]:
    """The mapping in a TOML or JSON file. Raises InvalidInput."""
    try:
        with path.open("rb") as file:
            data = file.read(_BYTES_MAX + 1)
        if len(data) > _BYTES_MAX:
            raise InvalidInput(f"{path} is larger than 256 KiB and none of ours")
        text = data.decode()
        document = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from error
    except RecursionError as error:
        raise InvalidInput(f"{path} cannot be read") from error
    if not isinstance(document, dict):
        raise InvalidInput(f"{path} is not what it should be: a mapping of fields is expected")
    return document


def toml_value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, tuple):
        return f"[{', '.join(toml_text(each) for each in value)}]"
    return toml_text(str(value))


def toml_text(text: str) -> str:
    """JSON's strings are TOML's, but for one character that TOML wants escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def write_privately(path: Path, text: str, *, replace: bool) -> None:
    """Whole or not at all, for its owner only, in a folder that is made when it is not there.

    Raises FileExistsError unless ``replace``, and InvalidInput.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # mkstemp makes files 0600.
        descriptor, unfinished = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            if replace:
                os.replace(unfinished, path)
            else:
                os.link(unfinished, path)  # refuses to replace what came meanwhile
        finally:
            Path(unfinished).unlink(missing_ok=True)
    except FileExistsError:
        raise
    except OSError as error:
        raise InvalidInput(f"cannot write {path}: {error.strerror}") from error
