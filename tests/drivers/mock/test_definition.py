from __future__ import annotations

import json

import pytest

from hypersdk.drivers.mock.definition import FORMAT, MockDefinition, MockDisk, MockNic
from hypersdk.model.errors import NotFound

WHOLE = MockDefinition(
    id="x",
    name="ü/b",
    vcpus=2,
    memory=5,
    tags={"a": "b"},
    disks=(MockDisk("vda", "d", 7, "scsi"),),
    nics=(MockNic("02:00:00:00:00:01", "lan", "", "e1000", linked=False),),
    vcpus_maximum=4,
    memory_maximum=1,
    cpu_weight=3,
    cpu_limit=0.5,
    pids_limit=9,
    owned=True,
    template=True,
    folder="prod",
    image="busybox",
    drives={"sda": ""},
    env={"A": "b"},
    settings={"firmware": "uefi"},
)


def test_what_is_encoded_is_decoded() -> None:
    assert MockDefinition.decode(WHOLE.encode()) == WHOLE


def test_room_is_never_less_than_what_there_is() -> None:
    assert (WHOLE.vcpus_room, WHOLE.memory_room) == (4, 5)


def test_a_definition_of_a_later_version_is_not_guessed_at() -> None:
    raw = json.loads(WHOLE.encode())
    raw["format"] = FORMAT + 1
    with pytest.raises(ValueError, match="format"):
        MockDefinition.decode(json.dumps(raw).encode())


def test_a_disk_is_found_by_name() -> None:
    assert WHOLE.disk("vda").size == 7
    with pytest.raises(NotFound, match="Its disks: vda"):
        WHOLE.disk("vdb")
