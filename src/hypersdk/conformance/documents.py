"""Tables of docs/conformance.md, made from what there is; a test compares them.

``python -m hypersdk.conformance.documents`` prints them.
"""

from __future__ import annotations

import importlib

from hypersdk.conformance.case import cases
from hypersdk.conformance.requirements import REQUIREMENTS
from hypersdk.conformance.suites import SUITES


def requirements_table() -> str:
    """Each requirement and its sentence."""
    rows = [f"| `{id}` | {sentence} |" for id, sentence in REQUIREMENTS.items()]
    return "\n".join(["| requirement | what it means |", "| --- | --- |", *rows]) + "\n"


def suites_table() -> str:
    """Each suite, how many cases it has, and what it is about."""
    rows = ["| suite | cases | about |", "| --- | --- | --- |"]
    for suite in SUITES:
        module = importlib.import_module(f"hypersdk.conformance.suites.{suite}")
        about = (module.__doc__ or "").partition("\n\n")[0].replace("\n", " ").strip()
        rows.append(f"| `{suite}` | {len(cases([suite]))} | {about} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    print(requirements_table())  # noqa: T201 - that is what it is for
    print(suites_table(), end="")  # noqa: T201
