"""Which case catches which mutant, as found by running them, and the table in the documents."""

from __future__ import annotations

import importlib
from functools import cache

from hypersdk.conformance.case import cases
from hypersdk.conformance.engine import run_case
from hypersdk.conformance.results import CaseResult, Verdict
from tests.conformance.mutants import MUTANTS, Mutant
from tests.conformance.mutants.target import MutantTarget

for _module in ("lifecycle", "identity", "disks", "snapshots", "devices", "trouble", "details"):
    importlib.import_module(f"tests.conformance.mutants.{_module}")

#: Seconds for each case.
TIMEOUT = 30.0


@cache
def caught(name: str) -> CaseResult | None:
    """How the first case ended that catches it; None when none of its suites does."""
    mutant: Mutant = MUTANTS[name]
    target = MutantTarget(mutant)
    try:
        for case in cases(mutant.suites):
            result = run_case(target, case, timeout=TIMEOUT)
            if result.verdict is Verdict.FAILED:
                return result
    finally:
        target.close()
    return None


def table() -> str:
    """The table of docs/mutants.md, from what happened."""
    lines = ["| mutant | what is wrong with it | caught by |", "| --- | --- | --- |"]
    for name, mutant in MUTANTS.items():
        result = caught(name)
        case = f"`{result.case}`" if result is not None else "**nothing**"
        lines.append(f"| {name.replace('_', ' ')} | {mutant.title} | {case} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
