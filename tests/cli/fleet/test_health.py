from __future__ import annotations

import re

import pytest

from tests.cli.conftest import Runner
from tests.cli.fleet.conftest import known
from tests.flows.fleet.labs import Labs


def test_each_hypervisor(command: Runner, labs: Labs, monkeypatch: pytest.MonkeyPatch) -> None:
    labs.add("c", config='without = ["host"]')
    labs.start("a", "web")
    known(monkeypatch, labs, "a", "c", "gone")
    result = command("fleet", "health", expect=3)
    head, a, c, gone = result.out.splitlines()
    assert head.split("  ")[0] == "HYPERVISOR"
    assert re.fullmatch(
        r"a           well +\d+\.\d ms  mock format \d+ +1 +64 +128\.0 GiB of 125\.0 TiB +\S+ \S+",
        a,
    )
    assert re.fullmatch(r"c           well +\d+\.\d ms", c)
    assert gone == "gone        unreachable"
    assert result.err.startswith("hypersdk: 1 of 3 hypervisors failed\n  gone: there is no mock")


def test_as_json(command: Runner, labs: Labs) -> None:
    document = command("fleet", "health", "--json").json
    a, b = document["hypervisors"]
    assert (a["hypervisor"], a["reachable"], a["error"]) == ("a", True, None)
    assert a["url"] == labs.url("a")
    assert a["breaker"] == {"state": "closed", "failures": 0, "retry_in": 0.0}
    assert a["host"]["product"] == "mock"
    parts = {each["part"]: each for each in b["capabilities"]}
    assert parts["lifecycle"]["grade"] == "partial"
    assert "lifecycle.mounts" in parts["lifecycle"]["limits"]


def test_the_only_one(command: Runner, labs: Labs) -> None:
    result = command("fleet", "health", "-H", labs.url("gone"), "--json", expect=1)
    (gone,) = result.json["hypervisors"]
    assert gone["reachable"] is False
    assert gone["error"]["kind"] == "HypervisorUnreachable"
    assert gone["breaker"]["failures"] == 1
