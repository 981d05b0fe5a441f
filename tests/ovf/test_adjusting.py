from __future__ import annotations

import re

import pytest

from hypersdk.model.errors import InvalidInput
from hypersdk.ovf.adjusting import adjusted, matching, renamed
from hypersdk.ovf.machine import OvfDisk, OvfMachine, OvfNic
from hypersdk.ovf.reading import read_ovf
from hypersdk.ovf.writing import write_ovf

MIB = 1 << 20
OWN = write_ovf(
    OvfMachine(
        name="web",
        vcpus=2,
        memory=64 * MIB,
        description="of its vendor",
        disks=tuple(
            OvfDisk(id=f"d{n}", file=f"own-{n}.vmdk", capacity=(n + 1) * MIB, unit=n)
            for n in range(3)
        ),
        nics=(OvfNic(network="LAN"),),
        files=("cd.iso",),
    )
)


def written(number: int) -> OvfDisk:
    return OvfDisk(
        id=f"vmdisk{number}", file=f"web-disk-{number}.vmdk", capacity=(number + 1) * MIB,
        file_size=700 + number,
    )  # fmt: skip


def test_files_get_their_names_and_what_was_left_out_goes() -> None:
    machine = read_ovf(adjusted(OWN, {0: written(0), 2: written(2)}, {"web.nvram": 9}))
    assert [(disk.id, disk.file, disk.file_size) for disk in machine.disks] == [
        ("d0", "web-disk-0.vmdk", 700),
        ("d2", "web-disk-2.vmdk", 702),
    ]
    assert machine.files == ("web.nvram",)
    assert (machine.description, machine.vcpus) == ("of its vendor", 2)


def test_disks_match_by_their_places() -> None:
    assert matching(OWN, [("scsi0-2", 1), ("scsi0-0", 1)]) == {2: "scsi0-2", 0: "scsi0-0"}


def test_disks_match_by_their_order_when_all_are_there() -> None:
    names = [("a", MIB), ("b", 2 * MIB), ("c", 3 * MIB)]
    assert matching(OWN, names) == {0: "a", 1: "b", 2: "c"}
    assert matching(OWN, names[:2]) == {}
    assert matching(OWN, [("a", MIB), ("b", MIB), ("c", MIB)]) == {}


def test_other_names_change_nothing_else() -> None:
    files = {f"d{n}": f"disk-{n}.vmdk" for n in range(3)}
    machine = read_ovf(renamed(OWN, files))
    assert [disk.file for disk in machine.disks] == list(files.values())
    assert [disk.capacity for disk in machine.disks] == [MIB, 2 * MIB, 3 * MIB]
    assert machine.nics == read_ovf(OWN).nics
    assert machine.files == ()


@pytest.mark.parametrize("text", [b"", b"<a/>", b"<!DOCTYPE x []><Envelope/>"])
def test_what_is_no_descriptor_is_refused(text: bytes) -> None:
    with pytest.raises(InvalidInput):
        adjusted(text, {}, {})


def setting(content: bytes) -> tuple[list[str], list[str]]:
    """Where the setting of the UEFI variables leads, and the ids of files of variables."""
    places = re.findall(rb'<vmw:ExtraConfig[^>]*vmw:key="nvram"[^>]*vmw:value="([^"]*)"', content)
    ids = re.findall(rb'<ovf:File [^>]*ovf:id="([^"]*)"[^>]*ovf:href="[^"]*\.nvram"', content)
    return [each.decode() for each in places], [each.decode() for each in ids]


def test_the_setting_of_the_uefi_variables_leads_to_their_file() -> None:
    """vSphere finds them by the id of the file, which is another one after an export."""
    disks = {number: written(number) for number in range(3)}
    plain = adjusted(OWN, disks, {})
    assert setting(plain) == ([], [])
    given = adjusted(plain, disks, {"notes.txt": 1, "web.nvram": 9})
    assert setting(given) == (["ovf:/file/other2"], ["other2"])
    again = adjusted(given, disks, {"web.nvram": 9})
    assert setting(again) == (["ovf:/file/other1"], ["other1"])
    assert setting(adjusted(given, disks, {})) == ([], [])
    made = write_ovf(OvfMachine(name="a", vcpus=1, memory=MIB, files=("cd.iso", "a.nvram")))
    assert setting(made) == (["ovf:/file/other2"], ["other2"])
