"""``--incremental-info``: what the next incremental export has to go on."""

from __future__ import annotations

from hypersdk import InstanceDetails, Repository, RestorePoint, details_of
from hypersdk.cli import words
from hypersdk.cli.hyperexport.connecting import chosen, connected
from hypersdk.cli.hyperexport.incremental import Options, opened
from hypersdk.cli.terminal import Document, Terminal
from hypersdk.model.instances import Purpose


def run(terminal: Terminal, options: Options) -> None:
    with (
        connected(terminal, options.source) as hypervisor,
        opened(terminal, options.increments) as repository,
    ):
        found = []
        for name in chosen(hypervisor, options.source):
            details = details_of(hypervisor, name)
            last = repository.latest(details.instance.name)
            found.append(_document(details, last, _obstacle(repository, details, last)))
    terminal.result({"instances": found})
    for document in found:
        _show(terminal, document)


def _obstacle(
    repository: Repository,
    details: InstanceDetails,
    last: RestorePoint | None,
) -> str:
    """Why the next one would read everything; empty: it would not, as far as can be known."""
    if last is None:
        return f"{repository.url} has no restore point of it"
    if details.changed_blocks is False:
        return "its hypervisor does not record changed blocks"
    then = {disk.name: disk for disk in last.disks if disk.purpose is Purpose.DISK}
    without = [name for name, disk in then.items() if disk.checkpoint is None]
    if without:
        return f"the last time left no mark for {', '.join(without)}"
    grown = [
        disk.name
        for disk in details.disks
        if disk.name not in then or then[disk.name].size != disk.size
    ]
    return f"new or of another size: {', '.join(grown)}" if grown else ""


def _document(details: InstanceDetails, last: RestorePoint | None, obstacle: str) -> Document:
    return {
        "name": details.instance.name,
        "changed_blocks": details.changed_blocks,
        "last": None
        if last is None
        else {"id": last.id, "time": words.moment(last.time), "disks": len(last.disks)},
        "incremental": not obstacle,
        "reason": obstacle or None,
    }


def _show(terminal: Terminal, document: Document) -> None:
    recorded = {True: "recorded", False: "not recorded", None: "not known"}
    last = document["last"]
    terminal.line(f"{document['name']}:")
    changed = document["changed_blocks"]
    assert changed is None or isinstance(changed, bool)
    terminal.line(f"  changed blocks: {recorded[changed]}")
    terminal.line(f"  last time:      {last['time'] if isinstance(last, dict) else 'never'}")
    reason = document["reason"]
    terminal.line(f"  next time:      {f'in full: {reason}' if reason else 'only what changed'}")
