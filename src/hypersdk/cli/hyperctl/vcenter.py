"""``hyperctl host``, ``cluster``, ``pool``, ``metrics``, ``clone``: what vSphere has."""

from __future__ import annotations

import json
import time
from fnmatch import fnmatch
from typing import Any

import click

from hypersdk.cli.hyperctl.command import Command
from hypersdk.cli.hyperctl.documents import document
from hypersdk.cli.hyperctl.records import listed, shown, text
from hypersdk.cli.hyperctl.session import Session, with_session
from hypersdk.contract.known.vsphere import BulkCloneAnswer, CloneDone
from hypersdk.model.errors import HyperSDKError, NotFound, PartialFailure

_HYPERVISOR = click.option("-H", "--hypervisor", default="", help="Name of the vCenter.")
_PATTERN = click.option("--pattern", default="*", show_default=True, help="Names: esx*")
_LOOK = click.option("--op", type=click.Choice(["list", "info"]), default="list", show_default=True)
#: Seconds between two looks of ``metrics --watch``.
_EVERY = 20.0


@click.command(cls=Command)
@_LOOK
@_PATTERN
@_HYPERVISOR
@with_session
def host(session: Session, op: str, pattern: str, hypervisor: str) -> None:
    """Hosts of a vCenter."""
    query = {"pattern": pattern, "hypervisor": hypervisor}
    found = session.client.call("known_vsphere_hosts", query=query).hosts
    _looked(
        session,
        op,
        "hosts",
        found,
        ("name", "cluster", "connection_state", "power_state", "cpu_cores", "memory_mb", "num_vms"),
    )


@click.command(cls=Command)
@_LOOK
@_PATTERN
@_HYPERVISOR
@with_session
def cluster(session: Session, op: str, pattern: str, hypervisor: str) -> None:
    """Clusters of a vCenter."""
    found = session.client.call("known_vsphere_clusters", query={"hypervisor": hypervisor}).clusters
    _looked(
        session,
        op,
        "clusters",
        [each for each in found if fnmatch(each.name, pattern)],
        ("name", "num_hosts", "total_cpu_mhz", "total_memory_mb", "drs_enabled", "ha_enabled"),
    )


def _looked(
    session: Session, op: str, kind: str, found: list[Any], columns: tuple[str, ...]
) -> None:
    if op == "list":
        titles = {
            name.replace("_", " ").capitalize(): lambda each, name=name: getattr(each, name)
            for name in columns
        }
        listed(session, kind, found, titles)
    elif not found:
        raise NotFound(f"there are no such {kind}", hint=f"List them: hyperctl {kind[:-1]}")
    else:
        for each in found:
            shown(session, each)


@click.command(cls=Command)
@click.option(
    "--op",
    type=click.Choice(["list", "create", "update", "delete"]),
    default="list",
    show_default=True,
)
@click.option("--name", default="", help="Of the pool.")
@click.option("--parent", default="", help="Path or name of what it is in.")
@click.option("--cpu-reserve", type=click.IntRange(0), help="MHz")
@click.option("--cpu-limit", type=click.IntRange(-1), help="MHz; -1: none")
@click.option("--mem-reserve", type=click.IntRange(0), help="MiB")
@click.option("--mem-limit", type=click.IntRange(-1), help="MiB; -1: none")
@_HYPERVISOR
@with_session
def pool(
    session: Session,
    op: str,
    name: str,
    parent: str,
    cpu_reserve: int | None,
    cpu_limit: int | None,
    mem_reserve: int | None,
    mem_limit: int | None,
    hypervisor: str,
) -> None:
    """Resource pools of a vCenter."""
    query = {"hypervisor": hypervisor}
    if op == "list":
        found = session.client.call("known_vsphere_pools", query=query).pools
        columns = ("name", "path", "cpu_reservation_mhz", "cpu_limit_mhz", "num_vms")
        _looked(session, "list", "pools", found, columns)
        return
    if not name:
        raise click.UsageError(f"name the pool: hyperctl pool --op {op} --name NAME")
    wanted = {
        "cpu_reservation_mhz": cpu_reserve,
        "cpu_limit_mhz": cpu_limit,
        "memory_reservation_mb": mem_reserve,
        "memory_limit_mb": mem_limit,
    }
    config: dict[str, Any] = {key: value for key, value in wanted.items() if value is not None}
    if op == "create":
        config |= {"name": name, **({"parent_path": parent} if parent else {})}
        told = session.client.call(
            "known_vsphere_create_pool", query=query, body={"config": config}
        )
    elif op == "update":
        told = session.client.call(
            "known_vsphere_update_pool", {"name": name}, query=query, body={"config": config}
        )
    else:
        told = session.client.call("known_vsphere_delete_pool", {"name": name}, query=query)
    shown(session, told)


@click.command(cls=Command)
@click.option("--entity", required=True, help="Name of a machine, host or cluster.")
@click.option("--type", "kind", type=click.Choice(["vm", "host", "cluster"]), default="vm")
@click.option("--realtime", is_flag=True, help="The last minutes instead of a history.")
@click.option("--interval", type=click.Choice(["5min", "30min", "2hour"]), default="5min")
@click.option("--start", default="", help="RFC 3339")
@click.option("--end", default="", help="RFC 3339")
@click.option("--watch", is_flag=True, help="Look again every 20 seconds.")
@_HYPERVISOR
@with_session
def metrics(
    session: Session,
    entity: str,
    kind: str,
    realtime: bool,
    interval: str,
    start: str,
    end: str,
    watch: bool,
    hypervisor: str,
) -> None:
    """What a machine, host or cluster of a vCenter uses."""
    query = {
        "entity": entity,
        "type": kind,
        "realtime": str(realtime or watch).lower(),
        "interval": interval,
        "start": start,
        "end": end,
        "hypervisor": hypervisor,
    }
    while True:
        found = session.client.call("known_vsphere_metrics", query=query)
        shown(session, found)
        if not watch:
            return
        time.sleep(_EVERY)


@click.command(cls=Command)
@click.option("--source", default="", help="Machine or template.")
@click.option("--target", default="", help="Name of the copy.")
@click.option("--folder", default="")
@click.option("--pool", default="")
@click.option("--datastore", default="")
@click.option("--power-on", is_flag=True)
@click.option("--linked", is_flag=True, help="Share the disks of a snapshot.")
@click.option("--snapshot", default="")
@click.option("--template", is_flag=True, help="The copy is a template.")
@click.option("--bulk", default="", metavar="FILE", help="JSON or YAML: {specs: […]}")
@_HYPERVISOR
@with_session
def clone(
    session: Session,
    source: str,
    target: str,
    folder: str,
    pool: str,
    datastore: str,
    power_on: bool,
    linked: bool,
    snapshot: str,
    template: bool,
    bulk: str,
    hypervisor: str,
) -> None:
    """Copy a machine of a vCenter.

    hyperctl clone --source web --target web-2
    """
    query = {"hypervisor": hypervisor}
    if bulk:
        given = document(bulk)
        body = given if isinstance(given, dict) else {"specs": given}
        answer = session.client.call("known_vsphere_clone_bulk", query=query, body=body)
        _cloned_many(session, answer)
        return
    if not (source and target):
        raise click.UsageError("give --source and --target, or --bulk FILE")
    wanted = {
        "source_vm": source,
        "target_name": target,
        "target_folder": folder,
        "resource_pool": pool,
        "datastore": datastore,
        "power_on": power_on,
        "linked_clone": linked,
        "snapshot": snapshot,
        "template": template,
    }
    spec = {name: value for name, value in wanted.items() if value}
    done = session.client.call("known_vsphere_clone", query=query, body={"spec": spec})
    shown(session, done.result)


def _cloned_many(session: Session, answer: BulkCloneAnswer) -> None:
    failures: dict[str, HyperSDKError] = {}
    for each in answer.results:
        session.terminal.line(_cloned(each))
        if not each.success:
            failures[each.target_name] = NotFound(each.error or "not made")
    session.terminal.result(json.loads(answer.model_dump_json()))
    if failures:
        raise PartialFailure(f"{len(failures)} of {len(answer.results)} copies failed", failures)


def _cloned(done: CloneDone) -> str:
    ended = "done" if done.success else f"failed: {text(done.error)}"
    return f"{done.source_vm} -> {done.target_name} {ended}"
