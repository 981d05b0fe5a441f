"""Defects in what is told of one instance."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypersdk.drivers.calls import Call
from tests.conformance.mutants import Go, Seat, mutant


@mutant("details")
def details_are_remembered(at: Seat, call: Call, go: Go) -> Any:
    """The details are those of the first time that they were asked for."""
    if call.operation != "details.details":
        return go()
    known = at.shared.setdefault("details", {})
    if call.instance not in known:
        known[call.instance] = go()
    return known[call.instance]


@mutant("details")
def details_lack_a_disk(at: Seat, call: Call, go: Go) -> Any:
    """The last disk is missing in the details."""
    answer = go()
    if call.operation == "details.details":
        return replace(answer, disks=answer.disks[:-1])
    return answer


@mutant("details")
def snapshots_are_never_counted(at: Seat, call: Call, go: Go) -> Any:
    """The details always tell of no snapshots."""
    answer = go()
    return replace(answer, snapshots=0) if call.operation == "details.details" else answer


@mutant("details")
def nics_share_an_address(at: Seat, call: Call, go: Go) -> Any:
    """All NICs in the details have one MAC address."""
    answer = go()
    if call.operation != "details.details":
        return answer
    nics = tuple(replace(nic, mac="52:54:00:00:00:01") for nic in answer.nics)
    return replace(answer, nics=nics)
