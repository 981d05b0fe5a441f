"""Rules about snapshots, the record of changed blocks, and states that cannot be read."""

from __future__ import annotations

from collections.abc import Iterator

from hypersdk.flows.preflight.rule import Rule
from hypersdk.flows.preflight.subject import Subject
from hypersdk.model.concerns import Severity
from hypersdk.model.instances import InstanceState

#: In a chain, says VMware; one more is needed to read a running instance.
_MOST = 32
#: From here on there is hardly room for those of backup programs.
_MANY = 28


def _present(subject: Subject) -> Iterator[str]:
    count = subject.details.snapshots or 0
    if 0 < count < _MANY:
        yield f"{subject.name} has {_counted(count)}; the export holds its present state only"


def _many(subject: Subject) -> Iterator[str]:
    count = subject.details.snapshots or 0
    if count >= _MANY and not (count >= _MOST and subject.running):
        yield f"{subject.name} has {_counted(count)}, of {_MOST} at most"


def _full(subject: Subject) -> Iterator[str]:
    count = subject.details.snapshots or 0
    if count >= _MOST and subject.running:
        yield (
            f"{subject.name} has {_counted(count)}: the one that a running instance is read from "
            "cannot be taken any more"
        )


def _counted(count: int) -> str:
    return f"{count} snapshot{'s' if count != 1 else ''}"


def _unmerged(subject: Subject) -> Iterator[str]:
    if subject.details.consolidation_needed is True:
        yield f"{subject.name} has left-over snapshot files that want to be merged"


def _untracked(subject: Subject) -> Iterator[str]:
    details = subject.details
    if details.changed_blocks is False and details.changed_blocks_supported is not False:
        yield f"{subject.name} does not record changed blocks: every backup reads all of its disks"


def _untrackable(subject: Subject) -> Iterator[str]:
    if subject.details.changed_blocks_supported is False:
        hardware = f" ({subject.details.hardware})" if subject.details.hardware else ""
        yield f"the virtual hardware of {subject.name}{hardware} cannot record changed blocks"


def _running(subject: Subject) -> Iterator[str]:
    if subject.details.instance.state is InstanceState.RUNNING:
        yield f"{subject.name} is running: it is read from a snapshot that is removed afterwards"


def _paused(subject: Subject) -> Iterator[str]:
    if subject.details.instance.state is InstanceState.PAUSED:
        yield f"{subject.name} is paused or suspended: what it has in memory is not exported"


def _strange(subject: Subject) -> Iterator[str]:
    state = subject.details.instance.state
    if state in {InstanceState.CRASHED, InstanceState.UNKNOWN}:
        yield f"{subject.name} is {state.value}: its filesystems may be damaged"


def _template(subject: Subject) -> Iterator[str]:
    if subject.details.template is True:
        yield f"{subject.name} is a template; what is imported from it is an ordinary instance"


RULES = (
    Rule(
        id="snapshot.full",
        title="No room for one more snapshot",
        severity=Severity.CRITICAL,
        check=_full,
        fix="Remove snapshots that nobody needs, or stop the instance first (--power-off).",
    ),
    Rule(
        id="snapshot.many",
        title="Many snapshots",
        severity=Severity.WARNING,
        check=_many,
        fix="Remove snapshots that nobody needs; long chains are slow to read.",
    ),
    Rule(
        id="snapshot.present",
        title="Snapshots",
        severity=Severity.INFO,
        check=_present,
        fix="Nothing, unless an older state is wanted: revert to it, or clone from it first.",
    ),
    Rule(
        id="snapshot.consolidation",
        title="Consolidation needed",
        severity=Severity.WARNING,
        check=_unmerged,
        fix="Consolidate the disks (govc snapshot.remove -consolidate, or in the client).",
    ),
    Rule(
        id="changed-blocks.off",
        title="Changed blocks not recorded",
        severity=Severity.WARNING,
        check=_untracked,
        fix="Incremental runs switch it on when asked with --incremental; an export needs it not.",
    ),
    Rule(
        id="changed-blocks.unsupported",
        title="Changed blocks cannot be recorded",
        severity=Severity.WARNING,
        check=_untrackable,
        fix="Upgrade the virtual hardware to version 7 or later.",
    ),
    Rule(
        id="state.running",
        title="Running",
        severity=Severity.INFO,
        check=_running,
        fix="For a last copy before a move, stop it first (--power-off).",
    ),
    Rule(
        id="state.paused",
        title="Paused or suspended",
        severity=Severity.WARNING,
        check=_paused,
        fix="Resume it and shut it down, so that nothing is lost.",
    ),
    Rule(
        id="state.strange",
        title="Crashed, or in a state not known",
        severity=Severity.WARNING,
        check=_strange,
        fix="Look at its console first.",
    ),
    Rule(
        id="state.template",
        title="Template",
        severity=Severity.INFO,
        check=_template,
        fix="Mark it as a template again on the target.",
    ),
)
