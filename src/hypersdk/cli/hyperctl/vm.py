"""``hyperctl vm``"""

from __future__ import annotations

import click

from hypersdk.cli.hyperctl.command import Command
from hypersdk.cli.hyperctl.machines import instance_named
from hypersdk.cli.hyperctl.records import shown
from hypersdk.cli.hyperctl.session import Session, with_session
from hypersdk.contract.instances import InstanceRecord

_STEPS = ("start", "pause", "resume", "reset")


@click.command(cls=Command)
@click.argument("name", required=False)
@click.option("--path", default="", help="The same as NAME; may be a path: /DC/vm/web")
@click.option(
    "--op",
    type=click.Choice(["info", "shutdown", "poweroff", "restart", "remove-cdrom", *_STEPS]),
    default="info",
    show_default=True,
)
@click.option("-H", "--hypervisor", default="", help="Of one hypervisor.")
@click.option("--timeout", type=float, default=300.0, show_default=True, help="Seconds.")
@with_session
def vm(
    session: Session, name: str | None, path: str, op: str, hypervisor: str, timeout: float
) -> None:
    """Look at one instance, or do one step with it.

    hyperctl vm web --op shutdown
    """
    words = path or name
    if not words:
        raise click.UsageError("name an instance: hyperctl vm NAME")
    found = instance_named(session, words, hypervisor)
    if op == "info":
        shown(session, found)
        return
    if op == "remove-cdrom":
        session.client.call("known_remove_cdrom", body={"vm_path": words})
        now = found
    else:
        now = _step(session, found, op, timeout)
    session.terminal.line(f"{now.hypervisor}/{now.name} {now.state}")
    session.terminal.result(now.model_dump(mode="json"))


def _step(session: Session, found: InstanceRecord, op: str, timeout: float) -> InstanceRecord:
    instances = session.client.instances
    where = (found.hypervisor, found.name)
    if op == "shutdown":
        return instances.stop(*where, timeout=timeout)
    if op == "poweroff":
        return instances.stop(*where, force=True)
    if op == "restart":
        return instances.restart(*where, timeout=timeout)
    step = {
        "start": instances.start,
        "pause": instances.pause,
        "resume": instances.resume,
        "reset": instances.reset,
    }[op]
    return step(*where)
