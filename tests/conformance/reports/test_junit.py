"""The document is what readers of JUnit XML expect: their schema, as far as we use it."""

from __future__ import annotations

import re
from dataclasses import replace
from xml.etree import ElementTree as ET

from hypersdk.conformance.reports.junit import PROBLEM, junit
from tests.conformance.strange import HOSTILE, case, example, made_run, result

#: Element → attributes that must be there, and those that may.
ATTRIBUTES: dict[str, tuple[set[str], set[str]]] = {
    "testsuites": (
        {"name", "time", "tests", "failures", "errors", "skipped"},
        set(),
    ),
    "testsuite": (
        {"name", "tests", "failures", "errors", "skipped", "time", "timestamp", "hostname", "id"},
        set(),
    ),
    "properties": (set(), set()),
    "property": ({"name", "value"}, set()),
    "testcase": ({"classname", "name", "time"}, set()),
    "failure": ({"message", "type"}, set()),
    "error": ({"message", "type"}, set()),
    "skipped": (set(), {"message"}),
}
#: Element → what may be in it, in this order.
CHILDREN: dict[str, str] = {
    "testsuites": r"(testsuite )*",
    "testsuite": r"properties (testcase )*",
    "properties": r"(property )*",
    "testcase": r"(skipped |error |failure )?",
}
TIME = re.compile(r"\d+\.\d{3}")
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


def check(element: ET.Element) -> None:
    needed, allowed = ATTRIBUTES[element.tag]
    assert needed <= set(element.keys()), element.tag
    assert set(element.keys()) <= needed | allowed, element.tag
    children = "".join(f"{child.tag} " for child in element)
    assert re.fullmatch(CHILDREN.get(element.tag, ""), children), (element.tag, children)
    for name in ("time", "timestamp"):
        if element.get(name) is not None:
            assert (TIME if name == "time" else MOMENT).fullmatch(element.get(name) or "")
    for child in element:
        check(child)


def counted(suite: ET.Element) -> dict[str, int]:
    return {
        "tests": len(list(suite.iter("testcase"))),
        "failures": len(list(suite.iter("failure"))),
        "errors": len(list(suite.iter("error"))),
        "skipped": len(list(suite.iter("skipped"))),
    }


def parsed(document: bytes) -> ET.Element:
    root = ET.fromstring(document)
    check(root)
    for element in (root, *root.iter("testsuite")):
        assert counted(element) == {name: int(element.get(name, "")) for name in counted(element)}
    return root


def test_the_example_is_valid_and_counts_right() -> None:
    root = parsed(junit(example()))
    assert root.get("tests") == "6"
    assert root.get("failures") == "1"
    assert root.get("skipped") == "1"
    assert [suite.get("name") for suite in root] == ["mock", "docker"]
    (failure,) = root.iter("failure")
    text = failure.text or ""
    assert "<script>alert('1')</script>" in text
    assert "left behind: disk <b>" in text
    assert r"\x1b[31m" in text, "what XML cannot hold is spelled out"


def test_class_names_are_requirements() -> None:
    root = parsed(junit(example()))
    names = {case.get("classname") for case in root.iter("testcase")}
    assert names == {
        f"{driver}.{requirement}"
        for driver in ("mock", "docker")
        for requirement in ("lifecycle", "snapshots", "snapshots.memory")
    }


def test_a_problem_is_an_error_that_no_reader_overlooks() -> None:
    run = made_run(result("docker", problem=HOSTILE))
    root = parsed(junit(run))
    assert root.get("errors") == "1"
    assert [case.get("name") for case in root.iter("testcase")] == [PROBLEM]


def test_hostile_names() -> None:
    hostile = replace(case("a.b"), case=HOSTILE, requirement=HOSTILE)
    root = parsed(junit(made_run(result(HOSTILE, hostile))))
    (found,) = root.iter("testcase")
    assert "<script>" in (found.get("name") or "")
