"""One HTML page that needs nothing else: no script, no font, no picture from anywhere.

Everything that came from outside (names, reasons, stacks) is escaped by jinja2, and a policy in the
page forbids scripts altogether.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hypersdk.conformance.expectations import SOURCE, Expected, expected
from hypersdk.conformance.figures import Figures, Regression, figures
from hypersdk.conformance.history import Step
from hypersdk.conformance.matrix import matrix
from hypersdk.conformance.reports.charts import WIDTH, Axis, Strip, axis, strip
from hypersdk.conformance.reports.words import count, printable, span
from hypersdk.conformance.results import CaseResult, HypervisorResult, Run, Verdict
from hypersdk.conformance.summary import Counts, across, counts, failure, names, total, verdict
from hypersdk.model.errors import MissingRequirement
from hypersdk.model.units import format_size

TEMPLATE = "report.html.j2"
#: Cases shown as the slowest of a hypervisor.
SLOWEST = 8


@dataclass(frozen=True, slots=True)
class Timed:
    """A row of the benchmark."""

    figures: Figures
    expected: Expected | None
    #: ``within``, ``faster``, ``slower``, empty without an expectation.
    verdict: str
    strip: Strip


@dataclass(frozen=True, slots=True)
class Slow:
    """A bar."""

    case: CaseResult
    #: 0 to 100.
    share: float


@dataclass(frozen=True, slots=True)
class Section:
    """All about one hypervisor."""

    name: str
    anchor: str
    result: HypervisorResult
    counts: Counts
    #: Facts about its host, by name.
    facts: Mapping[str, str]
    #: Part → its cases.
    groups: Mapping[str, tuple[CaseResult, ...]]
    timed: tuple[Timed, ...]
    axis: Axis | None
    slowest: tuple[Slow, ...]


def check_jinja() -> None:
    """Raise MissingRequirement when pages cannot be made: better before an hour of tests."""
    try:
        import jinja2  # noqa: F401, PLC0415 - an extra
    except ImportError as error:
        raise MissingRequirement(
            "the HTML report needs jinja2, which is not installed",
            hint="Install the extra: pip install 'hypersdk[conform]'",
        ) from error


def html(
    run: Run,
    *,
    regressions: Sequence[Regression] = (),
    trend: Mapping[str, Sequence[Step]] | None = None,
) -> str:
    """The page. ``trend``: hypervisor → its runs until now."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - an extra

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown_as_text,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["span"] = span
    environment.filters["count"] = count
    sections, compared = _sections(run), across(run)
    return environment.get_template(TEMPLATE).render(
        run=run,
        verdict=verdict(run),
        good=failure(run) is None,
        total=total(run),
        sections=sections,
        failures=[
            (section, case)
            for section in sections
            for case in section.result.cases
            if case.verdict is Verdict.FAILED
        ],
        regressions=regressions,
        matrix=matrix([run]),
        across=compared,
        compared=list(compared[0].results) if compared else [],
        trend=_shown(trend or {}),
        width=WIDTH,
        source=SOURCE,
    )


def _sections(run: Run) -> list[Section]:
    return [
        _section(name, f"h{number}", each)
        for number, (name, each) in enumerate(zip(names(run), run.hypervisors, strict=True))
    ]


def _section(name: str, anchor: str, result: HypervisorResult) -> Section:
    groups: dict[str, list[CaseResult]] = {}
    for case in result.cases:
        groups.setdefault(case.case.partition(".")[0], []).append(case)
    measured = figures(result.samples)
    usual = [expected(result.driver, each.operation) for each in measured]
    place = axis(measured, usual) if measured else None
    return Section(
        name=name,
        anchor=anchor,
        result=result,
        counts=counts(result),
        facts=_facts(result),
        groups={group: tuple(cases) for group, cases in groups.items()},
        timed=tuple(
            Timed(
                each,
                range_,
                range_.verdict(each.median) if range_ else "",
                strip(place, each, range_),
            )
            for each, range_ in zip(measured, usual, strict=True)
            if place is not None
        ),
        axis=place,
        slowest=_slowest(result),
    )


def _facts(result: HypervisorResult) -> dict[str, str]:
    facts = {"URL": result.url, "driver": result.driver}
    host = result.host
    if host is not None:
        facts |= {
            "product": f"{host.product} {host.version}",
            "host": f"{host.name}, {host.architecture}",
            "processors": str(host.vcpus),
            "memory": f"{format_size(host.memory)}, {format_size(host.memory_available)} available",
            "acceleration": host.acceleration,
        }
    return facts


def _slowest(result: HypervisorResult) -> tuple[Slow, ...]:
    ran = [case for case in result.cases if case.verdict is not Verdict.SKIPPED]
    longest = sorted(ran, key=lambda case: case.seconds, reverse=True)[:SLOWEST]
    most = longest[0].seconds if longest else 0.0
    return tuple(Slow(case, round(100 * case.seconds / most, 1) if most else 0) for case in longest)


def _shown_as_text(value: object) -> object:
    """What is put into the page. Lines of reasons and stacks stay lines."""
    return printable(value, keep="\n\t") if type(value) is str else value


def _shown(trend: Mapping[str, Sequence[Step]]) -> dict[str, Sequence[Step]]:
    """The last runs, for hypervisors with more than one: one alone is no trend."""
    return {name: steps[-12:] for name, steps in trend.items() if len(steps) > 1}
