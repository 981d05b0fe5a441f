"""A case: one thing that a driver has to do, and the registry of all of them.

A case is a function with one sentence as its docstring, in a module of the suites::

    @case("snapshots", needs=("guest",))
    def revert_brings_back_the_disk(lab: Lab) -> None:
        \"\"\"Reverting brings back the content that the disk had.\"\"\"

Its id is the suite's name and its own: ``snapshots.revert_brings_back_the_disk``. The sentence is
what reports show.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable, Collection
from dataclasses import dataclass

from hypersdk.conformance.lab import Lab
from hypersdk.conformance.requirements import NEEDS, REQUIREMENTS
from hypersdk.conformance.suites import SUITES
from hypersdk.model.errors import InvalidInput

Run = Callable[[Lab], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One case, the same for all hypervisors."""

    #: ``snapshots.revert_brings_back_the_disk``
    id: str
    #: What it tests, one of ``REQUIREMENTS``; skipped where the driver lacks it.
    requirement: str
    #: One sentence.
    title: str
    suite: str
    run: Run
    #: What it takes besides: requirements, ``observer``, ``guest``.
    needs: tuple[str, ...] = ()


_registered: dict[str, Case] = {}


def case(requirement: str, *, needs: Collection[str] = ()) -> Callable[[Run], Run]:
    """Register a function of a suite as a case."""

    def register(run: Run) -> Run:
        title = inspect.cleandoc(run.__doc__ or "").split("\n\n")[0].replace("\n", " ")
        add(run.__module__.rpartition(".")[2], run.__name__, requirement, title, run, needs=needs)
        return run

    return register


def add(
    suite: str, name: str, requirement: str, title: str, run: Run, *, needs: Collection[str] = ()
) -> None:
    """Register a case that a loop makes."""
    made = Case(
        id=f"{suite}.{name}",
        requirement=requirement,
        title=title,
        suite=suite,
        run=run,
        needs=tuple(needs),
    )
    for known, wrong in (
        ("a requirement", made.requirement not in REQUIREMENTS),
        ("needs", not set(made.needs) <= {*REQUIREMENTS, *NEEDS}),
        ("a sentence", not made.title.endswith(".")),
        ("a name of its own", made.id in _registered),
    ):
        if wrong:
            raise InvalidInput(f"the case {made.id} lacks {known}", hint="See conformance/case.py.")
    _registered[made.id] = made


def cases(suites: Collection[str] = ()) -> tuple[Case, ...]:
    """All cases, or those of these suites; the id of a case stands for itself.

    Raises InvalidInput for what is neither.
    """
    for suite in SUITES:
        importlib.import_module(f"hypersdk.conformance.suites.{suite}")
    known = tuple(_registered.values())
    names = {*(made.suite for made in known), *_registered}
    for wanted in suites:
        if wanted not in names:
            near = difflib.get_close_matches(wanted, sorted(names), n=1)
            question = f"Did you mean {near[0]}? " if near else ""
            there = ", ".join(dict.fromkeys(made.suite for made in known))
            raise InvalidInput(
                f"there is no suite or case '{wanted}'", hint=f"{question}Suites: {there}."
            )
    return tuple(made for made in known if not suites or {made.suite, made.id} & {*suites})
