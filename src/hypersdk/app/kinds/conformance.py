"""Jobs that run the conformance kit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from hypersdk.app.kinds.requests import answer, asked, same
from hypersdk.app.kinds.site import Site as Places
from hypersdk.conformance.case import cases
from hypersdk.conformance.events import CaseEnded, Event, Planned
from hypersdk.conformance.reports.files import write_reports
from hypersdk.conformance.results import HypervisorResult, Verdict
from hypersdk.conformance.runner import Plan as Kit
from hypersdk.conformance.runner import run as run_kit
from hypersdk.conformance.selection import matching
from hypersdk.conformance.target import Site
from hypersdk.contract.kinds import ConformanceRequest, ConformanceResult
from hypersdk.jobs.kinds import Plan, Run
from hypersdk.model.errors import HypervisorError, InvalidInput
from hypersdk.model.progress import Progress

#: What of a site is a path on the worker's host.
_PATHS = ("kernel", "initrd", "folder")
_SITE = tuple(each.name for each in fields(Site) if each.name != "extra")


class Conformance:
    """Each case makes instances of its own and removes them. A run that is continued begins anew:
    half a run proves nothing."""

    name = "conformance"
    summary = "Run the conformance kit on a hypervisor."
    waits = False

    def __init__(self, site: Places) -> None:
        self._site = site

    def plan(self, request: Mapping[str, Any]) -> Plan:
        """See the port."""
        wanted = asked(ConformanceRequest, request)
        _select(wanted)
        _check_site(wanted)
        self._check_paths(wanted)
        return self._site.planned(
            f"conformance of {wanted.hypervisor}",
            hypervisor=wanted.hypervisor,
            dedup=same(self.name, wanted),
        )

    def work(self, request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
        """See the port. Raises HypervisorError when cases failed, unless only the report is
        wanted."""
        wanted = asked(ConformanceRequest, request)
        self._check_paths(wanted, run.job.tenant)
        done = run.step("conformance", lambda: self._tested(wanted, run))
        if (done["failed"] or done["problem"]) and not wanted.report_only:
            why = done["failures"][0] if done["failures"] else done["problem"]
            raise HypervisorError(
                f"{done['failed']} cases failed on {wanted.hypervisor}; the first: {why}",
                hint="The job's log has all of them.",
            )
        return done

    def _check_paths(self, wanted: ConformanceRequest, tenant: str = "") -> None:
        for field in _PATHS:
            if path := wanted.site.get(field):
                self._site.folders.check(path, f"site.{field}", tenant=tenant)
        if wanted.report:
            self._site.folders.check(wanted.report, "report", tenant=tenant)

    def _tested(self, wanted: ConformanceRequest, run: Run) -> dict[str, Any]:
        tenant = run.job.tenant
        record = self._site.connections.hypervisor_record(wanted.hypervisor, tenant=tenant or None)
        kit = Kit(
            hypervisors=(record.url,),
            site=Site(**wanted.site, extra=wanted.extra),
            cases=_select(wanted),
            timeout=wanted.timeout,
            case_timeout=wanted.case_timeout,
            samples=wanted.samples,
            crowd=wanted.crowd,
        )
        run.phase("testing", wanted.hypervisor)
        with run.cancel.scope():
            found = run_kit(kit, watch=_Watch(run))
        (result,) = found.hypervisors
        reports: list[str] = []
        if wanted.report:
            folder = self._site.folders.check(wanted.report, "report", tenant=tenant)
            folder.mkdir(parents=True, exist_ok=True)
            reports = [str(path) for path in write_reports(found, folder)]
        return answer(_result(result, found.seconds, reports))


class _Watch:
    """Tells a run how far the kit is. ``done`` and ``total`` are cases."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._done = self._total = 0

    def __call__(self, _: str, event: Event) -> None:
        if isinstance(event, Planned):
            self._total = len(event.cases)
        elif isinstance(event, CaseEnded):
            self._done += 1
            case = event.result
            if case.verdict is Verdict.FAILED:
                self._run.log(f"failed: {case.case}: {case.reason}", level="error")
            self._run.reporter(Progress(case.case, self._done, max(self._total, self._done)))


def _select(wanted: ConformanceRequest) -> tuple[str, ...]:
    """Patterns of cases; a suite stands for its own. Raises InvalidInput for what fits none."""
    every = cases(())
    suites = {case.suite for case in every}
    patterns = tuple(f"{each}.*" if each in suites else each for each in wanted.select)
    matching(every, patterns)
    return patterns


def _check_site(wanted: ConformanceRequest) -> None:
    for name in set(wanted.site) - set(_SITE):
        near = get_close_matches(name, _SITE, n=1)
        meant = f"Did you mean {near[0]}?" if near else f"Known are {', '.join(_SITE)}."
        raise InvalidInput(f"there is no field request.site.{name}", hint=meant)


def _result(found: HypervisorResult, seconds: float, reports: list[str]) -> ConformanceResult:
    verdicts = [case.verdict for case in found.cases]
    return ConformanceResult(
        passed=verdicts.count(Verdict.PASSED),
        failed=verdicts.count(Verdict.FAILED),
        skipped=verdicts.count(Verdict.SKIPPED),
        seconds=round(seconds, 3),
        failures=[
            f"{case.case}: {case.reason}" for case in found.cases if case.verdict is Verdict.FAILED
        ],
        problem=found.problem,
        reports=reports,
    )
