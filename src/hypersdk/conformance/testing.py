"""The kit as tests of pytest, for the test file of a driver. ::

    from hypersdk.conformance.testing import conformance_tests
    from ours.target import OurTarget

    test_conformance = conformance_tests(OurTarget)

Each case is one test: ``test_conformance[snapshots.revert_brings_back_the_disk]``. What the driver
lacks is skipped with the reason. The target is made when the first test runs, and closed behind
the last one of the module.

This module is the only one that imports pytest.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from typing import Any

import pytest

from hypersdk.conformance.case import Case, cases
from hypersdk.conformance.engine import run_case
from hypersdk.conformance.results import CaseResult, Verdict
from hypersdk.conformance.target import Target
from hypersdk.model.errors import InvalidInput


def conformance_tests(
    make_target: Callable[[], Target],
    *,
    suites: Collection[str] = (),
    skip: Mapping[str, str] | None = None,
    timeout: float = 60.0,
) -> Callable[..., None]:
    """A test function with a parameter per case.

    ``suites``: these alone, or these cases; all without any. ``skip``: id of a case → why it is
    not run here. ``timeout``: seconds for each case. Raises InvalidInput for a suite or case that
    there is not.
    """
    chosen = cases(suites)
    reasons = _known(skip or {}, chosen)
    place = _Place(make_target)

    @pytest.mark.parametrize("case", chosen, ids=[case.id for case in chosen])
    def test_conformance(case: Case, request: pytest.FixtureRequest) -> None:
        if case.id in reasons:
            pytest.skip(reasons[case.id])
        report(run_case(place.target(request), case, timeout=timeout))

    return test_conformance


def report(result: CaseResult) -> None:
    """Tell pytest how a case ended."""
    if result.verdict is Verdict.SKIPPED:
        pytest.skip(result.reason)
    if result.verdict is Verdict.FAILED:
        pytest.fail(f"{result.title}\n\n{result.reason}\n\n{result.trace}", pytrace=False)


class _Place:
    """The target of one module: made once, or refused once for all."""

    def __init__(self, make: Callable[[], Target]) -> None:
        self._make = make
        self._target: Target | None = None
        self._refusal: BaseException | None = None

    def target(self, request: pytest.FixtureRequest) -> Target:
        if self._refusal is not None:
            raise self._refusal
        if self._target is None:
            try:
                self._target = self._make()
            except BaseException as refusal:
                # pytest.skip in a factory is one: what is missing is looked for only once.
                self._refusal = refusal
                raise
            module: Any = request.node.getparent(pytest.Module)
            module.addfinalizer(self._close)
        return self._target

    def _close(self) -> None:
        if self._target is not None:
            self._target.close()
            self._target = None


def _known(skip: Mapping[str, str], chosen: Collection[Case]) -> Mapping[str, str]:
    """``skip``, when it names cases that there are."""
    ids = [case.id for case in chosen]
    for name in skip:
        if name not in ids:
            near = difflib.get_close_matches(name, ids, n=1)
            question = f"Did you mean {near[0]}?" if near else "See docs/conformance.md."
            raise InvalidInput(f"there is no case '{name}' to skip", hint=question)
    return skip
