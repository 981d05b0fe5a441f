"""Jobs that convert images."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hypersdk.app.kinds.notes import Note, looks
from hypersdk.app.kinds.requests import answer, asked, refuse, same
from hypersdk.app.kinds.site import Site, pace
from hypersdk.contract.kinds import ConvertRequest, ConvertResult
from hypersdk.datapath.publish import check_target
from hypersdk.flows.convert import Converted, ConvertOptions, convert_image, find_converted
from hypersdk.jobs.kinds import Plan, Run


class Convert:
    """The target gets its name when it is complete; a note beside it says by which job, so that a
    run that is continued finds it."""

    name = "convert"
    summary = "Convert a disk image to another format."
    waits = False

    def __init__(self, site: Site) -> None:
        self._site = site

    def plan(self, request: Mapping[str, Any]) -> Plan:
        """See the port."""
        wanted = asked(ConvertRequest, request)
        for path, field in _paths(wanted):
            self._site.folders.check(path, field)
        refuse(
            wanted.packing and wanted.target_format != "qcow2",
            f"request.packing: {wanted.target_format} images are not packed",
            "Leave it out, or convert to qcow2.",
        )
        return self._site.planned(
            f"conversion of {Path(wanted.source).name}", dedup=same(self.name, wanted)
        )

    def work(self, request: Mapping[str, Any], run: Run) -> Mapping[str, Any]:
        """See the port."""
        wanted = asked(ConvertRequest, request)
        real = {
            path: self._site.folders.check(path, field, tenant=run.job.tenant)
            for path, field in _paths(wanted)
        }
        source, target = real[wanted.source], real[wanted.target]
        note = Note(target.parent, target.name, run.job.id)
        options = _options(wanted, run, [real[path] for path in wanted.allow_backing])
        done = run.step("convert", lambda: _converted(run, source, target, options, note))
        note.remove()
        return done


def _converted(
    run: Run, source: Path, target: Path, options: ConvertOptions, note: Note
) -> dict[str, Any]:
    told = note.read()
    if told is not None and looks(target) not in ([], told["before"]):
        run.log(f"{target} was converted before this run began")
        return _result(find_converted(target, options.format))
    if told is None:
        check_target(target, options.overwrite)
        note.write(before=looks(target))
    run.phase("converting", source.name)
    run.log(f"converting {source} to {target}")
    try:
        done = convert_image(
            source, target, options=options, reporter=run.reporter, cancel=run.cancel
        )
    except BaseException:
        note.remove()  # nothing is left of the target either
        raise
    return _result(done)


def _result(done: Converted) -> dict[str, Any]:
    return answer(
        ConvertResult(
            target=str(done.path),
            format=done.format,
            size=done.size,
            written=done.written,
            stored=done.stored,
            seconds=round(done.seconds, 3),
        )
    )


def _paths(wanted: ConvertRequest) -> list[tuple[str, str]]:
    backing = ((path, "allow_backing") for path in wanted.allow_backing)
    return [(wanted.source, "source"), (wanted.target, "target"), *backing]


def _options(wanted: ConvertRequest, run: Run, backing: list[Path]) -> ConvertOptions:
    return ConvertOptions(
        format=wanted.target_format,
        source_format=wanted.source_format,
        packing=wanted.packing,
        overwrite=wanted.overwrite,
        allow_backing=backing,
        throttle=pace(run, wanted.throttle),
        workers=wanted.workers,
    )
