"""Where a configuration comes from, what wins, and what is refused with the nearest name."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from hypersdk.drivers.mock.config import Config, Kind, Limits, Rule
from hypersdk.drivers.mock.configfile import configured, error_class, parse
from hypersdk.drivers.mock.presets import PRESETS
from hypersdk.model.errors import HypervisorBusy, InvalidInput
from hypersdk.model.instances import InstanceState
from hypersdk.model.units import GIB

WHOLE = """
profile = "performance"
seed = 7
jitter = 0.5
journal = true
guest_agent = true
obeys_stop = false
without = ["console"]

[limits]
instances = 3
memory = "2GiB"
total_disk = 1048576

[latency]
"snapshots.*" = 1.5

[[failures]]
operation = "lifecycle.start"
instance = "web*"
kind = "lost_reply"
nth = 3
times = 1
error = "HypervisorBusy"
message = "not now"

[[failures]]
kind = "crash"
rate = 0.25
seconds = 2
calls = 4
state = "stopped"
"""


def test_a_file_says_all_of_it(tmp_path: Path) -> None:
    (tmp_path / "mock.toml").write_text(WHOLE)
    found = configured(tmp_path)
    assert found == Config(
        profile="performance",
        seed=7,
        jitter=0.5,
        journal=True,
        guest_agent=True,
        obeys_stop=False,
        without=frozenset({"console"}),
        limits=Limits(instances=3, vcpus=64, memory=2 * GIB, total_disk=1 << 20),
        latency={**PRESETS["performance"].latency, "snapshots.*": 1.5},
        failures=(
            Rule(
                operation="lifecycle.start",
                instance="web*",
                kind=Kind.LOST_REPLY,
                nth=3,
                times=1,
                error="HypervisorBusy",
                message="not now",
            ),
            Rule(kind=Kind.CRASH, rate=0.25, seconds=2, calls=4, state=InstanceState.STOPPED),
        ),
    )


def test_the_url_wins_over_the_file_and_the_file_over_the_preset(tmp_path: Path) -> None:
    (tmp_path / "mock.toml").write_text(WHOLE)
    found = configured(tmp_path, [("seed", "9"), ("instances", "5"), ("without", "events,disks")])
    assert (found.seed, found.jitter) == (9, 0.5)
    assert found.limits == Limits(instances=5, vcpus=64, memory=2 * GIB, total_disk=1 << 20)
    assert found.without == {"events", "disks"}
    assert configured(tmp_path, [("profile", "standard")]).limits.vcpus == 16


def test_a_file_named_by_the_url_replaces_the_folders_own(tmp_path: Path) -> None:
    (tmp_path / "mock.toml").write_text("seed = 1")
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"jitter": 0.1}))
    assert configured(tmp_path, [("config", str(other))]) == Config(jitter=0.1)
    assert configured(tmp_path, [("config", "other.json")]) == Config(jitter=0.1)


def test_without_anything_nothing_is_slow_and_nothing_fails(tmp_path: Path) -> None:
    found = configured(tmp_path)
    assert found == Config()
    assert (found.limits.instances, found.latency, found.failures) == (1000, {}, ())


@pytest.mark.parametrize(
    ("query", "nearest"),
    [
        (("profil", "standard"), "profile"),
        (("profile", "unrelaible"), "unreliable"),
        (("instanzes", "3"), "instances"),
        (("without", "snapshot"), "snapshots"),
    ],
)
def test_an_unknown_word_in_the_url_names_the_nearest(
    tmp_path: Path, query: tuple[str, str], nearest: str
) -> None:
    with pytest.raises(InvalidInput) as caught:
        configured(tmp_path, [query])
    assert f"Did you mean {nearest}?" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "nearest"),
    [
        ({"limit": {}}, "limits"),
        ({"limits": {"memroy": 1}}, "memory"),
        ({"latency": {"lifecycel.start": 1}}, "lifecycle"),
        ({"failures": [{"opration": "*"}]}, "operation"),
        ({"failures": [{"kind": "before_efect"}]}, "before_effect"),
        ({"failures": [{"state": "crasht"}]}, "crashed"),
        ({"failures": [{"error": "HypervisorBussy"}]}, "HypervisorBusy"),
        ({"failures": [{"operation": "snapshot.create"}]}, "snapshots"),
    ],
)
def test_an_unknown_word_in_a_file_names_the_nearest(content: dict[str, Any], nearest: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(content)
    assert f"Did you mean {nearest}?" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({"seed": "x"}, "whole number"),
        ({"seed": True}, "whole number"),
        ({"jitter": 1.5}, "share"),
        ({"journal": "perhaps"}, "true or false"),
        ({"limits": 3}, "table"),
        ({"limits": {"memory": "3 apples"}}, "not a size"),
        ({"latency": {"*": -1}}, "seconds"),
        ({"latency": {"*": "inf"}}, "seconds"),
        ({"latency": {"*": "slow"}}, "number"),
        ({"failures": {"kind": "slow"}}, "list of tables"),
        ({"failures": [{"nth": 0}]}, "from 1"),
        ({"failures": [{"nth": 1, "rate": 0.5}]}, "either"),
        ({"without": "disks"}, "list of parts"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused(content: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidInput, match=problem):
        parse(content)


def test_a_file_that_cannot_be_read_or_understood_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"nowhere\.toml cannot be read"):
        configured(tmp_path, [("config", "nowhere.toml")])
    (tmp_path / "mock.toml").write_text("seed = ")
    with pytest.raises(InvalidInput, match=r"mock\.toml is malformed"):
        configured(tmp_path)
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(InvalidInput, match="no table"):
        configured(tmp_path, [("config", "list.json")])


def test_errors_are_those_of_our_tree() -> None:
    assert error_class("HypervisorBusy") is HypervisorBusy
    with pytest.raises(InvalidInput):
        error_class("OSError")


def test_every_setting_is_in_the_documents() -> None:
    text = (Path(__file__).parents[3] / "docs" / "mock.md").read_text(encoding="utf-8")
    names = [field.name for record in (Config, Limits, Rule) for field in fields(record)]
    for name in [*names, *(kind.value for kind in Kind), *PRESETS]:
        assert f"`{name}" in text or f".{name}`" in text, name
