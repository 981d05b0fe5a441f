from __future__ import annotations

import sqlalchemy as sa

from hypersdk.database.tables import job_resources
from hypersdk.jobs.budgets import FixedBudgets
from hypersdk.jobs.shares import Shares
from hypersdk.model.estate import Budget
from tests.jobs.lab import Lab

BUDGETS = FixedBudgets(
    {"a": Budget(bandwidth=100), "b": Budget(bandwidth=30), "tiny": Budget(bandwidth=1)}
)


def hold(lab: Lab, resource: str, *jobs: str) -> None:
    with lab.database.write() as connection:
        connection.execute(
            sa.insert(job_resources), [{"job": job, "resource": resource} for job in jobs]
        )


def test_the_smallest_share_counts(lab: Lab) -> None:
    hold(lab, "a", "1", "2", "3", "4", "5")
    hold(lab, "b", "1")
    hold(lab, "tiny", "1", "2")
    shares = Shares(lab.database, BUDGETS, seconds=1)
    assert shares.of(["a", "b", "free"]) == 20
    assert shares.of(["b"]) == 30
    assert shares.of(["tiny"]) == 1
    assert shares.of(["free"]) is None
    assert shares.of([]) is None


def test_the_database_is_asked_once_in_a_while(lab: Lab) -> None:
    now = [0.0]
    shares = Shares(lab.database, BUDGETS, seconds=1, clock=lambda: now[0])
    assert shares.of(["a"]) == 100
    hold(lab, "a", "1", "2")
    assert shares.of(["a"]) == 100
    now[0] = 1.0
    assert shares.of(["a"]) == 50
