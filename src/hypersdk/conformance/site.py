"""The file that says what a place has to test with: ``--site FILE``.

::

    image: registry.example/busybox:1
    kernel: /srv/lab/vmlinuz
    initrd: /srv/lab/initrd.img
    kernel_arguments: console=ttyS0
    acceleration: tcg
    extra:
      ports: 20000-20100

Every member is optional, and an unknown one is an error: misspelt, it would be ignored silently
and the run would prove less than it says.
"""

from __future__ import annotations

from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path

import yaml

from hypersdk.conformance.target import Site
from hypersdk.model.errors import InvalidInput


def load_site(path: Path) -> Site:
    """Raises InvalidInput for a file that is not there or not as described above."""
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"cannot read {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} is not YAML: {error}") from error
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise InvalidInput(f"{path} must have members, as in 'kernel: /srv/lab/vmlinuz'")
    for name in content:
        _check_name(path, str(name))
    extra = content.pop("extra", None)
    texts = {name: _text(path, name, value) for name, value in content.items()}
    return Site(**texts, extra=_extra(path, extra))


def _check_name(path: Path, name: str) -> None:
    known = [field.name for field in fields(Site)]
    if name in known:
        return
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    meant = f"Did you mean {near[0]}? " if near else ""
    raise InvalidInput(
        f"{path}: unknown member {name}", hint=f"{meant}Members are {', '.join(known)}."
    )


def _text(path: Path, name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    raise InvalidInput(f"{path}: {name} must be a text, not {value!r}")


def _extra(path: Path, value: object) -> dict[str, str]:
    """For drivers of others: any names, texts as values."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidInput(f"{path}: extra must have members of its own")
    return {str(name): _text(path, f"extra.{name}", each) for name, each in value.items()}
