"""Jobs that check repositories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hypersdk.app.kinds.points import chosen_point
from hypersdk.app.kinds.requests import answer, asked, refuse, same
from hypersdk.app.kinds.site import Site
from hypersdk.contract.kinds import DamageRecord, VerifyRequest, VerifyResult
from hypersdk.flows.verify import verify
from hypersdk.jobs.kinds import Plan, Run
from hypersdk.model.errors import Damaged, PointNotFound
from hypersdk.model.points import Damage, RestorePoint, VerifyLevel, VerifyReport
from hypersdk.repository.repository import Repository

#: Damaged places that a result names; the log has all.
_NAMED = 100


class Verify:
    """Reads, and notes what is damaged for the next backup; it may be done any number of times."""

    name = "verify"
    summary = "Check that a repository holds what was written to it."
    waits = False

    def __init__(self, site: Site) -> None:
        self._site = site

    def plan(self, request: Mapping[str, Any]) -> Plan:
        """See the port."""
        wanted = asked(VerifyRequest, request)
        refuse(
            wanted.point and not wanted.instance,
            "request.instance is missing: the instance of request.point",
            "Name it.",
        )
        what = wanted.instance or wanted.repository
        return self._site.planned(
            f"verification of {what}", repository=wanted.repository, dedup=same(self.name, wanted)
        )

    def work(self, request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
        """See the port. Raises Damaged, unless only the report is wanted."""
        wanted = asked(VerifyRequest, request)
        found = run.step("verify", lambda: self._verified(wanted, run))
        if not found["intact"]:
            subject = f"repositories/{wanted.repository}"
            data = {"job": run.job.id, "places": len(found["damage"])}
            self._site.tell("backup.damaged", subject, run.job.tenant, data)
            if not wanted.report_only:
                raise Damaged(
                    f"{wanted.repository} is damaged: {found['damage'][0]['problem']} "
                    f"({found['damage'][0]['object']}), and the log has the rest",
                    hint="Restore points that the log does not name are whole. The next backup of "
                    "a named area stores it again.",
                )
        return found

    def _verified(self, wanted: VerifyRequest, run: Run) -> dict[str, Any]:
        with self._site.repository(run, wanted.repository) as repository:
            run.phase("verifying", wanted.instance or wanted.repository)
            report = verify(
                repository,
                _scope(wanted, repository),
                VerifyLevel(wanted.level),
                workers=wanted.workers,
                reporter=run.reporter,
                cancel=run.cancel,
            )
        for damage in report.damage:
            run.log(f"damaged: {damage.object}: {damage.problem}", level="error")
        return answer(_result(report))


def _scope(wanted: VerifyRequest, repository: Repository) -> Sequence[RestorePoint] | None:
    if wanted.point:
        return [chosen_point(repository, wanted.instance, wanted.point)]
    if not wanted.instance:
        return None
    points = repository.points(wanted.instance)
    if not points:
        raise PointNotFound(
            f"{wanted.repository} has no restore point of '{wanted.instance}'",
            hint="Back it up first, or correct the name.",
        )
    return points


def _result(report: VerifyReport) -> VerifyResult:
    return VerifyResult(
        intact=report.ok,
        level=report.level.value,
        points=report.points,
        packs=report.packs,
        chunks=report.chunks,
        read=report.read,
        seconds=round(report.seconds, 3),
        damage=[_damage(each) for each in report.damage[:_NAMED]],
        harmless=len(report.harmless),
    )


def _damage(damage: Damage) -> DamageRecord:
    return DamageRecord(
        object=damage.object,
        problem=damage.problem,
        offset=damage.offset,
        length=damage.length,
        chunk=damage.chunk,
        breaks=[
            f"{area.instance} {area.point} {area.disk}: {area.length} at {area.start}"
            for area in damage.affected
        ],
    )
