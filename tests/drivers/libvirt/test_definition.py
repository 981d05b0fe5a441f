from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypersdk.drivers.libvirt import translate
from hypersdk.drivers.libvirt.definition import (
    PlacedDisk,
    Platform,
    check_name,
    checked,
    domain_xml,
    targets,
)
from hypersdk.drivers.libvirt.marks import Marks, marks
from hypersdk.model.errors import InvalidInput
from hypersdk.model.specs import DiskSpec, InstanceSpec, NicSpec
from hypersdk.model.units import GIB, MIB

KVM = Platform("kvm", "x86_64", "q35")
UUID = "7831d565-30db-464d-bca0-d045b03d0654"
SPEC = InstanceSpec(name="web")


@pytest.mark.parametrize(
    "change",
    [
        {"name": ""},
        {"name": " "},
        {"name": "a/b"},
        {"name": "new\nline"},
        {"name": ".hidden"},
        {"name": "\udc80"},
        {"name": "ü" * 101},
        {"cpu_limit": 0.001},
        {"cpu_weight": 10_001},
        {"image": "debian:12"},
        {"tags": {"a": "two\nlines"}},
        {"folder": "a\0b"},
        {"vcpus": 0},
        {"vcpus": 4, "vcpus_maximum": 2},
        {"memory": 1000},
        {"memory": 2 * GIB, "memory_maximum": GIB},
        {"firmware": "efi"},
        {"acceleration": "hvf"},
        {"initrd": "/boot/initrd"},
        {"kernel_arguments": "quiet"},
        {"nics": (NicSpec(mac="52:54:00"),)},
        {"disks": (DiskSpec(bus="ide"),)},
        {"disks": (DiskSpec(format="vmdk"),)},
        {"disks": (DiskSpec(size=-1),)},
        {"disks": (DiskSpec(path="relative"),)},
        {"disks": (DiskSpec(path="/a", pool="p"),)},
        {"disks": (DiskSpec(base="/a", format="raw"),)},
        {"disks": (DiskSpec(name="vda"), DiskSpec(name="vda"))},
        {"disks": (DiskSpec(name="root disk"),)},
        {"disks": (DiskSpec(),) * 27},
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, object]) -> None:
    assert checked(SPEC) is SPEC
    with pytest.raises(InvalidInput):
        checked(replace(SPEC, **change))  # type: ignore[arg-type]


def test_disks_without_a_name_get_the_next_free_one() -> None:
    disks = [
        DiskSpec(),
        DiskSpec(bus="scsi"),
        DiskSpec(name="vda"),
        DiskSpec(bus="sata"),
        DiskSpec(),
        DiskSpec(name="sdb"),
    ]
    assert targets(disks) == ["vdb", "sda", "vda", "sdc", "vdc", "sdb"]


def test_room_for_more_is_in_the_definition() -> None:
    spec = replace(SPEC, vcpus=2, vcpus_maximum=8, memory=GIB, memory_maximum=4 * GIB)
    root = translate.parsed(domain_xml(spec, KVM, UUID, []))
    vcpu = root.find("vcpu")
    assert vcpu is not None
    assert (vcpu.get("current"), vcpu.text) == ("2", "8")
    assert translate.size(root.find("memory")) == 4 * GIB
    assert translate.size(root.find("currentMemory")) == GIB
    assert len(root.findall("devices/controller[@model='pcie-root-port']")) >= 8


@pytest.mark.parametrize(
    ("weight", "usual", "shares"),
    [
        (100, 100, "100"),
        (100, 1024, "1024"),
        (1, 1024, "10"),
        (1, 100, "1"),
        (10_000, 100, "10000"),
    ],
)
def test_weights_are_in_the_hosts_measure(weight: int, usual: int, shares: str) -> None:
    platform = replace(KVM, usual_shares=usual)
    root = translate.parsed(domain_xml(replace(SPEC, cpu_weight=weight), platform, UUID, []))
    assert root.findtext("cputune/shares") == shares
    assert root.find("cputune/global_quota") is None


def test_limits_are_of_the_whole_machine() -> None:
    root = translate.parsed(domain_xml(replace(SPEC, cpu_limit=1.5), KVM, UUID, []))
    assert root.findtext("cputune/global_period") == "100000"
    assert root.findtext("cputune/global_quota") == "150000"
    assert translate.parsed(domain_xml(SPEC, KVM, UUID, [])).find("cputune") is None


def test_it_is_marked_as_ours() -> None:
    spec = replace(SPEC, folder="prod/web", tags={"a": "b"})
    root = translate.parsed(domain_xml(spec, KVM, UUID, [], seed="/seed.iso"))
    assert marks(root) == Marks(made=True, folder="prod/web", seed="/seed.iso", tags={"a": "b"})


def test_kvm_passes_the_processor_through_and_tcg_does_not() -> None:
    kvm = translate.parsed(domain_xml(SPEC, KVM, UUID, []))
    tcg = translate.parsed(domain_xml(SPEC, Platform("qemu", "x86_64", "q35"), UUID, []))
    for root, type, mode in ((kvm, "kvm", "host-passthrough"), (tcg, "qemu", "maximum")):
        cpu = root.find("cpu")
        assert cpu is not None
        assert (root.get("type"), cpu.get("mode")) == (type, mode)


def test_boot_order() -> None:
    disc = replace(SPEC, cdrom="/install.iso")
    root = translate.parsed(domain_xml(disc, KVM, UUID, []))
    assert [boot.get("dev") for boot in root.iterfind("os/boot")] == ["hd", "cdrom"]
    direct = replace(SPEC, kernel="/k", initrd="/i & j", kernel_arguments="a=<b>")
    root = translate.parsed(domain_xml(direct, KVM, UUID, []))
    assert [(e.tag, e.text) for e in root.iterfind("os/*")][1:] == [
        ("kernel", "/k"),
        ("initrd", "/i & j"),
        ("cmdline", "a=<b>"),
    ]


def test_drives_do_not_take_names_of_disks() -> None:
    disks = [
        PlacedDisk("sda", "sata", "raw", "/a"),
        PlacedDisk("sdc", "scsi", "raw", "/dev/x", True),
    ]
    spec = replace(SPEC, cdrom="/install.iso")
    root = translate.parsed(domain_xml(spec, KVM, UUID, disks, seed="/web-seed.iso"))
    names = {
        translate.target_of(disk): translate.source_path(disk)
        for disk in root.iterfind("devices/disk")
    }
    assert names == {"sda": "/a", "sdc": "/dev/x", "sdb": "/install.iso", "sdd": "/web-seed.iso"}
    assert [disk.name for disk in translate.instance(root, 5, ()).disks] == ["sda", "sdc"]


def test_nics() -> None:
    nics = (
        NicSpec(network="my <net>"),
        NicSpec(bridge="br0", mac="52:54:00:00:00:01", model="e1000e"),
        NicSpec(),
    )
    root = translate.parsed(domain_xml(replace(SPEC, nics=nics), KVM, UUID, []))
    found = root.findall("devices/interface")
    assert [nic.get("type") for nic in found] == ["network", "bridge", "user"]
    sources = [nic.find("source") for nic in found]
    assert [None if s is None else dict(s.attrib) for s in sources] == [
        {"network": "my <net>"},
        {"bridge": "br0"},
        None,
    ]
    macs = [nic.find("mac") for nic in found]
    assert [None if mac is None else mac.get("address") for mac in macs] == [
        None,
        "52:54:00:00:00:01",
        None,
    ]


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40)


@given(name=NAMES, tags=st.dictionaries(NAMES, NAMES, max_size=3), path=NAMES)
def test_no_name_breaks_out_of_its_place(name: str, tags: dict[str, str], path: str) -> None:
    try:
        for text in (name, path.replace("/", ""), *tags, *tags.values()):
            check_name(text.replace("/", "") or "x")
        check_name(name)
    except InvalidInput:
        return
    disk = PlacedDisk("vda", "virtio", "qcow2", f"/{path}")
    spec = InstanceSpec(name=name, memory=64 * MIB, tags=tags)
    found = translate.instance(translate.parsed(domain_xml(spec, KVM, UUID, [disk])), 5, ())
    assert (found.name, found.id, found.memory) == (name, UUID, 64 * MIB)
    assert found.tags == tags
    assert [disk.path for disk in found.disks] == [f"/{path}"]
