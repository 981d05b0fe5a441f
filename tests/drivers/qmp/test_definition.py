from __future__ import annotations

import json

import pytest

from hypersdk.drivers.qmp.definition import DiskRecord, MachineRecord, NicRecord, decode
from hypersdk.drivers.qmp.state import PATH_MAX, folder_name
from hypersdk.model.errors import NotFound

_MACHINE = MachineRecord(
    id="1",
    name="web",
    vcpus=1,
    processors=(2,),
    vcpus_maximum=4,
    memory=64,
    modules=(32, 16),
    memory_maximum=256,
    machine="pc-q35-7.2",
    disks=(DiskRecord(name="vda", path="/a", format="qcow2", size=5, port=3),),
    nics=(NicRecord(mac="52:54:00:01:02:03", port=4),),
    tags={"a": "b"},
)


def test_what_is_written_is_read() -> None:
    assert decode(_MACHINE.encode()) == _MACHINE
    assert (_MACHINE.all_vcpus, _MACHINE.all_memory, _MACHINE.ports) == (2, 112, frozenset({3, 4}))


def test_what_was_not_written_by_us_is_refused() -> None:
    later = {**json.loads(_MACHINE.encode()), "format": 2}
    with pytest.raises(ValueError, match="later version"):
        decode(json.dumps(later).encode())
    odd = {**json.loads(_MACHINE.encode()), "surprise": 1}
    with pytest.raises(TypeError):
        decode(json.dumps(odd).encode())


def test_a_missing_disk_is_named_with_those_that_are_there() -> None:
    with pytest.raises(NotFound, match="no disk 'vdz'") as caught:
        _MACHINE.disk("vdz")
    assert "vda" in caught.value.hint


def test_sockets_of_the_longest_folder_fit() -> None:
    longest = folder_name("x" * 255)
    assert PATH_MAX + len(f"/{longest}/run/serial-999") <= 107
