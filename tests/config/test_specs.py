from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from hypersdk.config.specs import load_spec
from hypersdk.model.errors import InvalidInput
from hypersdk.model.specs import (
    CloudInit,
    DiskSpec,
    InstanceSpec,
    MountSpec,
    NicSpec,
    PortSpec,
)

YAML = """
name: web
vcpus: 2
memory: 4GiB
disks:
  - size: 10GiB
    bus: scsi
  - name: data
    size: 1073741824
nics: [{network: lan}]
tags: {site: lab}
cloud_init:
  hostname: web
  ssh_keys: [ssh-ed25519 AAAA]
"""
TOML = """
name = "web"
vcpus = 2
memory = "4GiB"
disks = [{size = "10GiB", bus = "scsi"}, {name = "data", size = 1073741824}]
nics = [{network = "lan"}]
[tags]
site = "lab"
[cloud_init]
hostname = "web"
ssh_keys = ["ssh-ed25519 AAAA"]
"""
JSON = """
{"name": "web", "vcpus": 2, "memory": "4 GiB", "tags": {"site": "lab"},
 "disks": [{"size": "10G", "bus": "scsi"}, {"name": "data", "size": 1073741824}],
 "nics": [{"network": "lan"}],
 "cloud_init": {"hostname": "web", "ssh_keys": ["ssh-ed25519 AAAA"]}}
"""
WANTED = InstanceSpec(
    name="web",
    vcpus=2,
    memory=4 << 30,
    disks=(DiskSpec(size=10 << 30, bus="scsi"), DiskSpec(name="data", size=1 << 30)),
    nics=(NicSpec(network="lan"),),
    tags={"site": "lab"},
    cloud_init=CloudInit(hostname="web", ssh_keys=("ssh-ed25519 AAAA",)),
)


@pytest.mark.parametrize(
    ("name", "text"), [("a.yaml", YAML), ("a.yml", YAML), ("a.toml", TOML), ("a.JSON", JSON)]
)
def test_the_same_spec_in_each_format(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert load_spec(tmp_path / name) == WANTED


def test_a_mapping_that_is_not_changed() -> None:
    given = {
        "name": "c",
        "image": "busybox",
        "memory": "64MiB",
        "command": ("sleep", "60"),
        "env": {"A": "b"},
        "mounts": [{"source": "data", "target": "/data", "read_only": True}],
        "ports": [{"host": 8080, "inside": 80}],
        "cpu_limit": 1,
    }
    before = repr(given)
    assert load_spec(given, [("memory", "128MiB"), ("env.A", "c")]) == InstanceSpec(
        name="c",
        image="busybox",
        memory=128 << 20,
        command=("sleep", "60"),
        env={"A": "c"},
        mounts=(MountSpec(source="data", target="/data", read_only=True),),
        ports=(PortSpec(host=8080, inside=80),),
        cpu_limit=1.0,
    )
    assert repr(given) == before


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ({"vcpsu": 1}, "unknown field vcpsu", "Did you mean vcpus? The fields are name, vcpus,"),
        ({"disks": [{}, {"siez": 1}]}, "unknown field disks[1].siez", "Did you mean size?"),
        ({"cloud_init": {"hostnam": ""}}, "unknown field cloud_init.hostnam", "mean hostname?"),
        ({"zzz": 1}, "unknown field zzz", "The fields are"),
        ({"vcpus": "2"}, "vcpus: a whole number is expected", ""),
        ({"vcpus": True}, "vcpus: a whole number is expected", ""),
        ({"vcpus": 1.5}, "vcpus: a whole number is expected", ""),
        ({"memory": "lots"}, "memory: not a size", "Write it like 64KiB, 1MiB or 4GiB."),
        ({"disks": [{"size": "1x"}]}, "disks[0].size: not a size", "Write it like"),
        ({"disks": {"size": 1}}, "disks: a list is expected", ""),
        ({"disks": ["vda"]}, "disks[0]: a mapping of fields is expected", ""),
        ({"tags": {"site": 1}}, "tags.site: text is expected; write it in quotes", ""),
        ({"env": ["A=b"]}, "env: a mapping is expected", ""),
        ({"name": None}, "name: text is expected; write it in quotes", ""),
        ({"mounts": [{"source": "a"}]}, "mounts[0].target: is missing", ""),
        (
            {"folder": date(2026, 1, 1)},
            "the spec holds something other than text, numbers, lists and mappings",
            "Write dates in quotes.",
        ),
        (
            {"cpu_limit": float("nan")},
            "the spec holds something other than text, numbers, lists and mappings",
            "",
        ),
    ],
)
def test_mistakes_name_the_field(given: dict[str, Any], message: str, hint: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        load_spec({"name": "web", **given})
    assert caught.value.message == message
    assert hint in caught.value.hint


def test_a_name_is_needed() -> None:
    with pytest.raises(InvalidInput, match=r"^name: is missing$"):
        load_spec({})


def test_values_are_never_repeated() -> None:
    with pytest.raises(InvalidInput) as caught:
        load_spec({"name": "web", "env": {"PASSWORD": ["hunter2"]}})
    assert "hunter2" not in str(caught.value)
    assert "env.PASSWORD" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.yaml", "name: a\nname: b\n", "a.yaml is not YAML: 'name' is given twice in line 2"),
        ("a.yaml", "disks:\n- {size: 1, size: 2}\n", "'size' is given twice in line 2"),
        ("a.json", '{"name": "a", "name": "b"}', "'name' is given twice in the spec"),
        ("a.toml", 'name = "a"\nname = "b"\n', "a.toml cannot be read"),
        ("a.yaml", "name: &a web\nfolder: *a\n", "aliases are not allowed in specs"),
        ("a.yaml", "name: [", "a.yaml is not YAML"),
        ("a.json", "{", "a.json cannot be read"),
        ("a.yaml", "- name: web", "the spec: a mapping of fields is expected"),
        ("a.yaml", "", "the spec: a mapping of fields is expected"),
        ("a.yaml", "name: web\nvcpsu: 1", "a.yaml: unknown field vcpsu"),
        ("a.yaml", "!!python/object:os.system {}", "a.yaml is not YAML"),
        ("a.ini", "", "a spec in a file '*.ini' cannot be read"),
        ("a.json", "[" * 100_000, "a.json cannot be read"),
        ("a.json", " " * ((1 << 20) + 1), "is larger than 1 MiB and no spec"),
    ],
)
def test_files_that_are_wrong(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(InvalidInput) as caught:
        load_spec(tmp_path / name)
    assert message in caught.value.message


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"cannot read .*: No such file"):
        load_spec(tmp_path / "none.yaml")
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\xfd")
    with pytest.raises(InvalidInput, match="is not UTF-8 text"):
        load_spec(tmp_path / "a.yaml")


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ([("vcpus", "4")], {"vcpus": 4}),
        ([("memory", "2GiB"), ("memory", "3GiB")], {"memory": 3 << 30}),
        ([("disks[0].size", "1GiB")], {"disks": [{"size": 1 << 30}]}),
        ([("disks[0].size", "1G"), ("disks[1].size", "2G")], {"disks": [{"size": 1 << 30},
                                                                      {"size": 2 << 30}]}),
        ([("tags.app.kubernetes.io/name", "x=y")], {"tags": {"app.kubernetes.io/name": "x=y"}}),
        ([("env.PORT", "80")], {"env": {"PORT": "80"}}),
        ([("command", "[sleep, '60']")], {"command": ["sleep", "60"]}),
        ([("command[0]", "sleep"), ("command[1]", "60")], {"command": ["sleep", "60"]}),
        ([("cloud_init.hostname", "a")], {"cloud_init": {"hostname": "a"}}),
        ([("cpu_limit", "0.5")], {"cpu_limit": 0.5}),
        ([("mounts", "[{source: a, target: /a}]")], {"mounts": [{"source": "a", "target": "/a"}]}),
    ],
)  # fmt: skip
def test_changes_on_top(changes: list[tuple[str, str]], wanted: dict[str, Any]) -> None:
    assert load_spec({"name": "web"}, changes) == load_spec({"name": "web", **wanted})


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("vcpsu", "1", "unknown field vcpsu"),
        ("disks[0].siez", "1", "unknown field disks[0].siez"),
        ("disks[1].size", "1", "'disks[1].size' leads nowhere"),
        ("disks.size", "1", "'disks.size' leads nowhere"),
        ("vcpus[0]", "1", "'vcpus[0]' leads nowhere"),
        ("name.first", "1", "'name.first' leads nowhere"),
        ("disks[x]", "1", "'disks[x]' is no field of a spec"),
        ("", "1", "'' is no field of a spec"),
        ("vcpus", "many", "vcpus: a whole number is expected"),
        ("command", "[", "command: this value cannot be read"),
        ("memory", "much", "memory: not a size"),
    ],
)
def test_changes_that_are_wrong(path: str, text: str, message: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        load_spec({"name": "web"}, [(path, text)])
    assert message in caught.value.message


def test_a_change_of_what_was_empty(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"name": "a", "cloud_init": None}))
    spec = load_spec(tmp_path / "a.json", [("cloud_init.user", "me")])
    assert spec.cloud_init == CloudInit(user="me")
