"""The kit as tests of pytest: with a driver of somebody else, installed as a package of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from hypersdk.conformance.case import cases
from hypersdk.conformance.testing import conformance_tests
from hypersdk.model.errors import InvalidInput

HERE = Path(__file__).parent
DOCUMENT = (HERE.parents[1] / "docs" / "conformance.md").read_text()

_METADATA = "Metadata-Version: 2.1\nName: acme-hypervisor\nVersion: 1.0\n"
_ENTRY_POINTS = "[hypersdk.drivers]\nacme = acme_hypervisor.driver:connect\n"


#: Exit status of pytest; case → how it ended, and why.
Ended = tuple[int, dict[str, tuple[str, str]]]


def documented_test_file() -> str:
    found = re.search(r"^```py\n(.*?)^```", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found.group(1)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return installed(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """What the documented test file gives."""
    return run(installed(tmp_path_factory.mktemp("acme")), documented_test_file())


def installed(tmp_path: Path) -> Path:
    """A folder with the package installed beside its test file."""
    site = tmp_path / "site"
    shutil.copytree(HERE / "acme", site / "acme_hypervisor")
    info = site / "acme_hypervisor-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(_METADATA)
    (info / "entry_points.txt").write_text(_ENTRY_POINTS)
    (tmp_path / "tests").mkdir()
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    return tmp_path


def run(place: Path, text: str) -> Ended:
    (place / "tests" / "test_conformance.py").write_text(text)
    report = place / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(
        [*command, f"--junitxml={report}"],
        cwd=place,
        env={**os.environ, "PYTHONPATH": str(place / "site")},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert report.exists(), done.stdout + done.stderr
    ended = {}
    for case in ET.parse(report).iter("testcase"):
        name = case.get("name", "").removeprefix("test_conformance[").removesuffix("]")
        child = next(iter(case), None)
        kind = "passed" if child is None else child.tag
        ended[name] = (kind, "" if child is None else f"{child.get('message')}{child.text}")
    return done.returncode, ended


def test_the_documented_ten_lines_test_a_driver_of_somebody_else(whole: Ended) -> None:
    assert len(documented_test_file().splitlines()) <= 10
    status, ended = whole
    assert status == 0, {name: why for name, (kind, why) in ended.items() if kind == "failure"}
    assert {*ended} == {case.id for case in cases()}
    counts = Counter(kind for kind, _ in ended.values())
    assert counts["passed"] > 90
    assert counts["skipped"] > 100
    assert ended["lifecycle.start_of_stopped"][0] == "passed"
    assert ended["refused.lifecycle_pause"][0] == "passed"
    assert ended["identity.another_process_sees_the_same"][0] == "passed"


def test_skips_say_why(whole: Ended) -> None:
    _, ended = whole
    for name, reason in (
        ("snapshots.create_lists_it", "no snapshots part"),
        ("lifecycle.pause_of_running", "lifecycle.pause: an instance is a file"),
        ("concurrency.some_run_at_once", "our test host runs one at a time"),
    ):
        kind, why = ended[name]
        assert kind == "skipped"
        assert reason in why


_SUITES = 'AcmeTarget, suites=["lifecycle.start_of_stopped", "lifecycle.stop_of_stopped"]'


def test_a_driver_that_breaks_a_promise_fails_that_test(place: Path) -> None:
    driver = place / "site" / "acme_hypervisor" / "driver.py"
    broken = driver.read_text().replace('"state": "running"', '"state": "stopped"')
    assert broken != driver.read_text()
    driver.write_text(broken)
    text = re.sub(r"conformance_tests\(.*\)", f"conformance_tests({_SUITES})",
                  documented_test_file(), flags=re.DOTALL)  # fmt: skip
    status, ended = run(place, text)
    assert status == 1
    assert {name: kind for name, (kind, _) in ended.items()} == {
        "lifecycle.start_of_stopped": "failure",
        "lifecycle.stop_of_stopped": "passed",
    }
    assert "state after start: expected" in ended["lifecycle.start_of_stopped"][1]


_REFUSING = """
import pytest
from hypersdk.conformance.testing import conformance_tests

def target():
    with open("asked", "a") as file:
        file.write("once")
    pytest.skip("no hypervisor here")

test_conformance = conformance_tests(target, suites=["host", "core"])
"""


def test_a_target_that_is_not_there_is_looked_for_once(place: Path) -> None:
    status, ended = run(place, _REFUSING)
    assert status == 0
    assert {kind for kind, _ in ended.values()} == {"skipped"}
    assert len(ended) == len(cases(["host", "core"]))
    assert (place / "asked").read_text() == "once"


def test_an_unknown_case_to_skip_is_refused_with_the_nearest() -> None:
    with pytest.raises(InvalidInput, match=r"Did you mean host\.says_what_it_is"):
        conformance_tests(lambda: None, skip={"host.says_what_is": "x"})  # type: ignore[arg-type,return-value]


def test_an_unknown_suite_is_refused() -> None:
    with pytest.raises(InvalidInput, match="there is no suite or case 'hosts'"):
        conformance_tests(lambda: None, suites=["hosts"])  # type: ignore[arg-type,return-value]
