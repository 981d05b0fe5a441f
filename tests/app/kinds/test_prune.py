from __future__ import annotations

import pytest

from hypersdk.model.errors import InvalidInput
from tests.app.kinds.killed import kill, resume
from tests.app.kinds.lab import Lab

BACKUP = {"repository": "main", "hypervisor": "lab", "instance": "web", "exclude": ["vdb"]}


@pytest.fixture
def three(lab: Lab) -> Lab:
    for _ in range(3):
        lab.run("backup", **BACKUP)
    return lab


def test_what_no_rule_keeps_goes(three: Lab) -> None:
    ids = [point.id for point in three.points("web")]
    done = three.run("prune", repository="main", keep={"last": 1}, dry_run=True)
    assert sorted(done["removed"]) == ids[:2]
    assert len(three.points()) == 3
    done = three.run("prune", repository="main", instance="web", keep={"last": 1})
    assert (done["kept"], sorted(done["removed"])) == (1, ids[:2])
    assert "last" in done["reasons"][ids[2]]
    assert [point.id for point in three.points()] == ids[2:]


def test_killed_it_is_done_again(three: Lab) -> None:
    request = {"repository": "main", "keep": {"last": 1, "within": "0s"}}
    kill(three.root, "prune", "lost prune", request)
    run = resume(three, "prune", request)
    assert run.result["kept"] == 1


@pytest.mark.parametrize(
    ("keep", "said"),
    [
        ({}, "request.keep keeps nothing"),
        ({"within": "soon"}, r"request.keep.within: "),
        ({"last": -1}, r"request.keep.last: "),
    ],
)
def test_refused(lab: Lab, keep: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        lab.kinds()["prune"].plan({"repository": "main", "keep": keep})
