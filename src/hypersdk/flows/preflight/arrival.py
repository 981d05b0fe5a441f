"""Rules about a package that is to become an instance, and the hypervisor that is to run it."""

from __future__ import annotations

from collections.abc import Iterator

from hypersdk.flows.preflight.rule import Needs, Rule
from hypersdk.flows.preflight.subject import ArrivalFacts, Errand, Subject
from hypersdk.model.concerns import Severity
from hypersdk.model.units import format_size

_IMPORT = frozenset({Errand.IMPORT})


def _facts(subject: Subject) -> ArrivalFacts:
    facts = subject.arrival
    assert facts is not None, "rules that need an arrival run with one"
    return facts


def _unreadable(subject: Subject) -> Iterator[str]:
    facts = _facts(subject)
    if facts.unreadable:
        yield f"{facts.package} cannot be read: {facts.unreadable}"


def _incomplete(subject: Subject) -> Iterator[str]:
    facts = _facts(subject)
    for name in facts.missing_files:
        yield f"{facts.package} names the file {name}, which is not there"


def _clash(subject: Subject) -> Iterator[str]:
    facts = _facts(subject)
    if facts.exists is True:
        yield f"{facts.hypervisor} has an instance {subject.name} already"


def _refused(subject: Subject) -> Iterator[str]:
    facts = _facts(subject)
    if facts.accepted is False:
        kinds = f"; it takes {', '.join(facts.kinds)}" if facts.kinds else ""
        yield f"{facts.hypervisor} does not build instances from {facts.package.name}{kinds}"


def _networks(subject: Subject) -> Iterator[str]:
    facts = _facts(subject)
    if facts.networks is None:
        return
    for network in facts.wanted_networks:
        if network not in facts.networks:
            there = f": there are {', '.join(facts.networks)}" if facts.networks else ""
            yield f"{facts.hypervisor} has no network '{network}'{there}"


def _no_room(subject: Subject) -> Iterator[str]:
    facts = _facts(subject)
    wanted = sum(disk.size for disk in subject.details.disks)
    if facts.free is not None and wanted > facts.free:
        yield (
            f"the disks of {subject.name} may grow to {format_size(wanted)}; {facts.hypervisor} "
            f"has {format_size(facts.free)} free"
        )


def _too_big(subject: Subject) -> Iterator[str]:
    facts, instance = _facts(subject), subject.details.instance
    if facts.memory is not None and instance.memory > facts.memory:
        yield (
            f"{subject.name} wants {format_size(instance.memory)} of memory; {facts.hypervisor} "
            f"gives {format_size(facts.memory)} at most"
        )
    if facts.vcpus is not None and instance.vcpus > facts.vcpus:
        yield (
            f"{subject.name} wants {instance.vcpus} processors; {facts.hypervisor} gives "
            f"{facts.vcpus} at most"
        )


RULES = (
    Rule(
        id="import.unreadable",
        title="Package that cannot be read",
        severity=Severity.CRITICAL,
        check=_unreadable,
        fix="Fetch it anew; compare its checksums with those of where it comes from.",
        needs=Needs.ARRIVAL,
        errands=_IMPORT,
    ),
    Rule(
        id="import.file-missing",
        title="Package that is not complete",
        severity=Severity.CRITICAL,
        check=_incomplete,
        fix="Put all files of the package into one folder.",
        needs=Needs.ARRIVAL,
        errands=_IMPORT,
    ),
    Rule(
        id="import.exists",
        title="Instance of that name",
        severity=Severity.CRITICAL,
        check=_clash,
        fix="Give it another name with --name.",
        needs=Needs.ARRIVAL,
        errands=_IMPORT,
    ),
    Rule(
        id="import.refused",
        title="Hypervisor that cannot build it",
        severity=Severity.CRITICAL,
        check=_refused,
        fix="Choose another hypervisor; docs/hypervisors.md shows what each can do.",
        needs=Needs.ARRIVAL,
        errands=_IMPORT,
    ),
    Rule(
        id="import.network-missing",
        title="Network that is not there",
        severity=Severity.WARNING,
        check=_networks,
        fix="Map it to one that is there: --map-network NAME=THERE.",
        needs=Needs.ARRIVAL,
        errands=_IMPORT,
    ),
    Rule(
        id="import.space",
        title="Too little room for its disks",
        severity=Severity.WARNING,
        check=_no_room,
        fix="Free space there, or choose another place for the disks.",
        needs=Needs.ARRIVAL,
        errands=_IMPORT,
    ),
    Rule(
        id="import.too-big",
        title="More memory or processors than a host has",
        severity=Severity.CRITICAL,
        check=_too_big,
        fix="Choose another host, or make the instance smaller before it is exported.",
        needs=Needs.ARRIVAL,
        errands=_IMPORT,
    ),
)
