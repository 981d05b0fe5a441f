"""Rules about what we may not do, and what nobody may."""

from __future__ import annotations

from collections.abc import Iterator

from hypersdk.flows.preflight.rule import Rule
from hypersdk.flows.preflight.subject import Subject
from hypersdk.model.concerns import Severity

#: Without these a lease for reading is refused; the others concern snapshots and changed blocks.
_LEASE = {"VApp.Export", "VirtualMachine.Provisioning.DiskRandomRead"}
_SNAPSHOT = "VirtualMachine.State."


def _lease(subject: Subject) -> Iterator[str]:
    missing = sorted(_LEASE.intersection(subject.details.missing_privileges or ()))
    if missing:
        yield f"reading {subject.name} needs {' and '.join(missing)}, which this user lacks"


def _snapshot(subject: Subject) -> Iterator[str]:
    missing = [
        each
        for each in sorted(subject.details.missing_privileges or ())
        if each.startswith(_SNAPSHOT)
    ]
    if missing and subject.running:
        yield (
            f"{subject.name} is running and read from a snapshot; this user lacks "
            f"{' and '.join(missing)}"
        )


def _other(subject: Subject) -> Iterator[str]:
    for each in sorted(subject.details.missing_privileges or ()):
        if each not in _LEASE and not (each.startswith(_SNAPSHOT) and subject.running):
            yield f"this user lacks {each} on {subject.name}"


def _encrypted(subject: Subject) -> Iterator[str]:
    if subject.details.encrypted is True:
        yield f"{subject.name} is encrypted by its hypervisor, which exports no such instance"


RULES = (
    Rule(
        id="privilege.lease",
        title="Privilege to read the disks",
        severity=Severity.CRITICAL,
        check=_lease,
        fix="Have the privilege added to the user's role on this VM, or on a folder above it.",
    ),
    Rule(
        id="privilege.snapshot",
        title="Privilege to take snapshots of a running instance",
        severity=Severity.CRITICAL,
        check=_snapshot,
        fix="Have the privilege added to the user's role, or stop the instance first "
        "(--power-off).",
    ),
    Rule(
        id="privilege.other",
        title="Other privileges",
        severity=Severity.WARNING,
        check=_other,
        fix="Have the privilege added to the user's role, if what it is for is asked for.",
    ),
    Rule(
        id="instance.encrypted",
        title="Encrypted by the hypervisor",
        severity=Severity.CRITICAL,
        check=_encrypted,
        fix="Change its storage policy to one without encryption and remove a virtual TPM, or "
        "export a decrypted clone.",
    ),
)
