"""The import rules in pyproject.toml know every library that we depend on."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

PYPROJECT = Path(__file__).parent.parent / "pyproject.toml"


def test_each_dependency_has_a_home() -> None:
    settings = tomllib.loads(PYPROJECT.read_text())
    project = settings["project"]
    wanted = list(project["dependencies"])
    for extra in project["optional-dependencies"].values():
        wanted += extra
    names = {re.split(r"[\[<>=~! ]", requirement, maxsplit=1)[0] for requirement in wanted}
    modules = {
        module
        for module, distributions in packages_distributions().items()
        if not module.startswith("_") and names & set(distributions) - {"hypersdk"}
    }
    (homes,) = (
        contract
        for contract in settings["tool"]["importlinter"]["contracts"]
        if contract["id"] == "homes"
    )
    assert modules - set(homes["forbidden_modules"]) == set()
    allowed = {pair.split(" -> ")[1] for pair in homes["ignore_imports"]}
    assert allowed <= set(homes["forbidden_modules"])
