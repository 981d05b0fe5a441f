from __future__ import annotations

from typing import Any

import pytest

from hypersdk.model.errors import InstanceNotFound, InvalidInput, InvalidState
from tests.app.kinds.killed import kill, resume
from tests.app.kinds.lab import Lab

WEB = {"hypervisor": "lab", "instance": "web"}


def state(lab: Lab) -> str:
    return lab.mock().inventory.instance("web").state.value


def test_one_life(lab: Lab) -> None:
    for operation, then in (
        ("start", "running"), ("start", "running"), ("pause", "paused"), ("resume", "running"),
        ("reset", "running"), ("restart", "running"), ("stop", "stopped"), ("stop", "stopped"),
    ):  # fmt: skip
        done = lab.run("lifecycle", **WEB, operation=operation)
        assert done == {"instance": "web", "operation": operation, "state": then}
        assert state(lab) == then
    assert lab.events[0][:2] == ("vm.started", "hypervisors/lab/instances/web")
    assert lab.run("lifecycle", **WEB, operation="start", paused=True)["state"] == "paused"
    with pytest.raises(InvalidState):
        lab.run("lifecycle", **WEB, operation="delete")
    done = lab.run("lifecycle", **WEB, operation="delete", force=True, storage=True)
    assert done["state"] == "deleted"
    assert list(lab.mock().inventory.instances()) == []
    with pytest.raises(InstanceNotFound):
        lab.run("lifecycle", **WEB, operation="delete")


def test_killed_between_the_halves_of_a_restart(lab: Lab) -> None:
    lab.mock().lifecycle.start("web")
    request = {**WEB, "operation": "restart", "force": True}
    kill(lab.root, "lifecycle", "after restart 0", request)
    assert state(lab) == "stopped"
    run = resume(lab, "lifecycle", request)
    assert state(lab) == "running"
    assert run.ran == ["restart 1"]


def test_killed_when_it_was_deleted(lab: Lab) -> None:
    request = {**WEB, "operation": "delete"}
    kill(lab.root, "lifecycle", "lost delete", request)
    assert resume(lab, "lifecycle", request).result["state"] == "deleted"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"operation": "start", "storage": True}, "for deleting"),
        ({"operation": "stop", "paused": True}, "for starting"),
        ({"operation": "pause", "force": True}, "means nothing for pause"),
        ({"operation": "stop", "timeout": 0}, "request.timeout: "),
    ],
)
def test_refused(lab: Lab, more: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        lab.kinds()["lifecycle"].plan({**WEB, **more})
