"""``--dry-run``: what an export would do now."""

from __future__ import annotations

from hypersdk import ExportPlan, plan_export
from hypersdk.cli import words
from hypersdk.cli.hyperexport.connecting import chosen, connected
from hypersdk.cli.hyperexport.export import Options
from hypersdk.cli.tables import Table, left, right
from hypersdk.cli.terminal import Document, Terminal


def run(terminal: Terminal, options: Options) -> None:
    settings = options.settings(terminal)
    with connected(terminal, options.source) as hypervisor:
        plans = [
            plan_export(hypervisor, name, options.folder(name), settings)
            for name in chosen(hypervisor, options.source)
        ]
    terminal.result({"plans": [_document(plan) for plan in plans]})
    for plan in plans:
        if terminal.quiet:
            facts = f"{plan.format}, {words.size(plan.size)}"
            terminal.line(f"dry-run: {plan.instance.name} -> {plan.folder} ({facts})")
        else:
            _show(terminal, plan)


def _show(terminal: Terminal, plan: ExportPlan) -> None:
    name = plan.instance.name
    terminal.line(f"{name}: would be exported to {plan.folder} as {plan.format}")
    table = Table((*left("FILE"), *right("SIZE AT MOST"), *left("DISK")))
    for file in plan.files:
        table.add(file.name, words.size(file.size), file.disk)
    terminal.table(table)
    lines = [
        f"disks of {words.size(plan.size)}, of which at most {words.size(plan.to_read)} are read",
        plan.reading,
        f"snapshot {plan.snapshot} is made" if plan.snapshot else "",
        "it is shut down before, and started again afterwards" if plan.power_off else "",
        f"uploaded to {plan.upload}" if plan.upload else "",
        f"needs {words.size(plan.room_needed)} of {words.size(plan.room_free)} that are free",
    ]
    for line in filter(None, lines):
        terminal.line(f"  {line}")
    warnings = [*plan.warnings, *([] if plan.fits else ["there is not enough room"])]
    for warning in warnings:
        terminal.complain(f"warning: {name}: {warning}")


def _document(plan: ExportPlan) -> Document:
    return {
        "name": plan.instance.name,
        "id": plan.instance.id,
        "format": plan.format,
        "folder": str(plan.folder),
        "files": [
            {"name": file.name, "size": file.size, "disk": file.disk or None} for file in plan.files
        ],
        "size": plan.size,
        "to_read": plan.to_read,
        "room_needed": plan.room_needed,
        "room_free": plan.room_free,
        "fits": plan.fits,
        "reading": plan.reading,
        "snapshot": plan.snapshot or None,
        "power_off": plan.power_off,
        "upload": plan.upload or None,
        "warnings": list(plan.warnings),
    }
