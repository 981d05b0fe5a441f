"""JUnit XML, as CI systems read it: one suite per hypervisor, one class name per requirement.

A hypervisor that could not be tested in full gets a case of its own that is an error, so that no
reader takes an early end for success.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from xml.etree import ElementTree as ET

from hypersdk.conformance.results import CaseResult, HypervisorResult, Run, Verdict
from hypersdk.conformance.summary import counts, names

#: Characters that XML 1.0 cannot hold, not even as a reference.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
#: Case that stands for a hypervisor's problem.
PROBLEM = "the hypervisor is tested in full"


def junit(run: Run) -> bytes:
    """The document, in UTF-8."""
    root = ET.Element("testsuites", name="hypersdk conform", time=f"{run.seconds:.3f}")
    total = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    for number, (name, each) in enumerate(zip(names(run), run.hypervisors, strict=True)):
        suite = _suite(root, number, name, each, run)
        for counted in total:
            total[counted] += int(suite.get(counted, "0"))
    for counted, number in total.items():
        root.set(counted, str(number))
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _suite(
    root: ET.Element, number: int, name: str, hypervisor: HypervisorResult, run: Run
) -> ET.Element:
    found, problem = counts(hypervisor), hypervisor.problem
    suite = ET.SubElement(
        root,
        "testsuite",
        {
            "name": _text(name),
            "id": str(number),
            "hostname": _text(hypervisor.host.name if hypervisor.host else "unknown"),
            "timestamp": _moment(hypervisor.began),
            "time": f"{hypervisor.seconds:.3f}",
            "tests": str(found.total + bool(problem)),
            "failures": str(found.failed),
            "errors": str(int(bool(problem))),
            "skipped": str(found.skipped),
        },
    )
    properties = ET.SubElement(suite, "properties")
    for key, value in _facts(hypervisor, run).items():
        ET.SubElement(properties, "property", name=key, value=_text(value))
    for case in hypervisor.cases:
        _case(suite, name, case)
    if problem:
        element = ET.SubElement(
            suite, "testcase", classname=_text(name), name=PROBLEM, time="0.000"
        )
        ET.SubElement(element, "error", message=_text(problem), type="problem").text = _text(
            problem
        )
    return suite


def _case(suite: ET.Element, name: str, case: CaseResult) -> None:
    element = ET.SubElement(
        suite,
        "testcase",
        classname=_text(f"{name}.{case.requirement}"),
        name=_text(case.case),
        time=f"{case.seconds:.3f}",
    )
    first = _text(case.reason).partition("\n")[0]
    if case.verdict is Verdict.SKIPPED:
        ET.SubElement(element, "skipped", message=first)
    elif case.verdict is Verdict.FAILED:
        failure = ET.SubElement(element, "failure", message=first, type="failure")
        left = "".join(f"\nleft behind: {leak}" for leak in case.leaks)
        failure.text = _text(f"{case.title}\n\n{case.reason}{left}\n\n{case.trace}")


def _facts(hypervisor: HypervisorResult, run: Run) -> dict[str, str]:
    host = hypervisor.host
    facts = {"url": hypervisor.url, "driver": hypervisor.driver, "run": run.id}
    if host is not None:
        facts["product"] = f"{host.product} {host.version}"
    return facts | {f"environment.{key}": value for key, value in run.environment.items()}


def _moment(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _text(text: str) -> str:
    """What XML cannot hold is shown as Python writes it; lone surrogates among it."""
    return _FORBIDDEN.sub(lambda match: f"\\x{ord(match[0]):02x}", text)
