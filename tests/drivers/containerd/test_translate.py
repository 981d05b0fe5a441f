from __future__ import annotations

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from hypersdk.drivers.containerd import labels
from hypersdk.drivers.containerd.api.services.containers.v1.containers_pb2 import Container
from hypersdk.drivers.containerd.api.types.task import task_pb2
from hypersdk.drivers.containerd.translate import Translator, instance, state
from hypersdk.model.instances import InstanceState


@pytest.mark.parametrize(
    ("status", "seen"),
    [
        (task_pb2.RUNNING, InstanceState.RUNNING),
        (task_pb2.PAUSED, InstanceState.PAUSED),
        (task_pb2.PAUSING, InstanceState.PAUSED),
        (task_pb2.STOPPED, InstanceState.STOPPED),
        (task_pb2.UNKNOWN, InstanceState.UNKNOWN),
        (task_pb2.CREATED, InstanceState.STOPPED),
    ],
)
def test_states(status: task_pb2.Status, seen: InstanceState) -> None:
    assert state(task_pb2.Process(status=status), Container()) is seen


def test_one_that_was_made_to_wait_is_paused() -> None:
    process = task_pb2.Process(status=task_pb2.CREATED)
    assert state(process, Container(labels={labels.HALTED: "yes"})) is InstanceState.PAUSED


def test_without_a_task_it_is_stopped() -> None:
    assert state(None, Container()) is InstanceState.STOPPED


def test_marks_become_fields() -> None:
    marks = {labels.OWNED: "yes", labels.FOLDER: "a/b", f"{labels.TAG}x": "1", "other": "2"}
    found = instance(Container(id="web", image="lab:1", labels=marks), None)
    assert (found.id, found.name, found.image) == ("web", "web", "lab:1")
    assert (found.owned, found.folder, found.tags) == (True, "a/b", {"x": "1"})
    assert not instance(Container(id="web"), None).owned


def test_what_was_updated_is_read_anew() -> None:
    translator = Translator()
    running = task_pb2.Process(status=task_pb2.RUNNING)
    old = Container(id="web", image="lab:1", updated_at=Timestamp(seconds=5))
    new = Container(id="web", image="lab:2", updated_at=Timestamp(seconds=5, nanos=1))
    for container, process in ((old, None), (old, running), (new, running), (old, None)):
        assert translator.instance(container, process) == instance(container, process)
