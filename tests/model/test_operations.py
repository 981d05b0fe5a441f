"""The table of operations agrees with the table of transitions, and with its own picture."""

from __future__ import annotations

import pytest

from hypersdk.model import operations
from hypersdk.model.instances import TRANSITIONS, InstanceState
from hypersdk.model.operations import OUTCOMES, Gone, Operation


def drawn() -> dict[tuple[Operation, InstanceState], str]:
    """The cells of the table in the module's docstring."""
    documentation = operations.__doc__ or ""
    lines = [line.strip() for line in documentation.splitlines()]
    head = next(line for line in lines if line.startswith("stopped"))
    states = [InstanceState(word) for word in head.split()]
    cells = {}
    for operation in Operation:
        line = next(line for line in lines if line.startswith(operation.value + " "))
        words = line.removeprefix(operation.value).split()[: len(states)]
        cells.update({(operation, state): word for state, word in zip(states, words, strict=True)})
    return cells


@pytest.mark.parametrize(("cell", "word"), drawn().items(), ids=str)
def test_the_picture_shows_the_table(cell: tuple[Operation, InstanceState], word: str) -> None:
    operation, state = cell
    outcome = OUTCOMES[operation].get(state)
    assert word == ("refused" if outcome is None else outcome.value)


def test_every_operation_is_in_the_table() -> None:
    assert set(OUTCOMES) == set(Operation)


def test_what_operations_lead_to_are_transitions() -> None:
    for outcomes in OUTCOMES.values():
        for before, after in outcomes.items():
            assert isinstance(after, Gone) or after is before or after in TRANSITIONS[before]
