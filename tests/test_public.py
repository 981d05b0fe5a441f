"""The public API: loaded when it is used, and said twice the same."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import hypersdk

#: Names that are called otherwise where they come from.
RENAMED = {"unseal_file": "open_file", "unseal_legacy_file": "open_legacy_file"}


def imports() -> dict[str, str]:
    """Public name → its module, as type checkers read it."""
    assert hypersdk.__file__
    found: dict[str, str] = {}
    for node in ast.walk(ast.parse(Path(hypersdk.__file__).read_text())):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("hypersdk."):
            found |= {each.asname: str(node.module) for each in node.names if each.asname}
    return found


def test_people_and_type_checkers_are_told_the_same() -> None:
    seen = imports()
    assert set(seen) | set(RENAMED) == set(hypersdk.__all__)
    for name, module in seen.items():
        assert getattr(hypersdk, name) is getattr(import_module(module), name), name


@pytest.mark.parametrize(("name", "there"), RENAMED.items())
def test_what_has_another_name(name: str, there: str) -> None:
    assert getattr(hypersdk, name).__name__ == there


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'hypersdk' has no attribute 'back_up'"):
        getattr(hypersdk, "back_up")  # noqa: B009 - type checkers know that it is not there


def test_names_are_listed() -> None:
    assert set(hypersdk.__all__) < set(dir(hypersdk))
    assert hypersdk.__version__


def test_nothing_is_loaded_before_it_is_used() -> None:
    program = (
        "import sys, hypersdk; assert hypersdk.NotFound; "
        "print(*sorted(name for name in sys.modules if name.startswith('hypersdk.')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    assert done.stdout.split() == ["hypersdk.model", "hypersdk.model.errors"], done.stderr
