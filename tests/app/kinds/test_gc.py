from __future__ import annotations

import pytest

from hypersdk.model.errors import Conflict, Interrupted, InvalidInput
from hypersdk.repository.leases import COLLECT, Lease
from tests.app.kinds.killed import resume
from tests.app.kinds.lab import Lab
from tests.app.kinds.running import JOB, FakeRun, job_of

BACKUP = {"repository": "main", "hypervisor": "lab", "instance": "web"}


@pytest.fixture
def emptied(lab: Lab) -> Lab:
    lab.run("backup", **BACKUP)
    (point,) = lab.points()
    lab.repository().remove(point, "test")
    return lab


def test_space_is_given_back(emptied: Lab) -> None:
    done = emptied.run("gc", repository="main", dry_run=True)
    assert done["condemned"] > 0
    done = emptied.run("gc", repository="main")
    assert (done["condemned"] > 0, done["swept"]) == (True, 0)
    assert "grace" in emptied.run("gc", repository="main")["waiting_for"]
    done = emptied.run("gc", repository="main", grace="0s")
    assert done["swept"] > 0
    assert done["freed"] > 6 << 20


def test_what_a_killed_run_left_is_not_waited_for(emptied: Lab) -> None:
    """Its lease would keep all others out for six hours."""
    repository = emptied.repository()
    for owner in (JOB, "other"):
        Lease(repository.store, repository.vault.context, COLLECT, owner).renew()
        if owner == JOB:
            request = {"repository": "main", "grace": "0s"}
            assert resume(emptied, "gc", request).result["swept"] > 0
    with pytest.raises(Conflict):
        emptied.run("gc", repository="main")


def test_cancelled(emptied: Lab) -> None:
    request = {"repository": "main", "grace": "0s"}
    run = FakeRun(job_of("gc", request))
    run.step = lambda name, work: run.cancel.cancel() or work()  # type: ignore[func-returns-value, method-assign]
    with pytest.raises(Interrupted):
        emptied.kinds()["gc"].work(request, run)
    assert emptied.run("gc", **request)["swept"] > 0  # nothing keeps others out


def test_refused(lab: Lab) -> None:
    with pytest.raises(InvalidInput, match=r"request.grace: "):
        lab.kinds()["gc"].plan({"repository": "main", "grace": "a while"})
