"""What happens to a complete export afterwards. Its status decides over that of the run."""

from __future__ import annotations

from pathlib import Path

from hypersdk import (
    Exported,
    HyperSDKError,
    ImportOptions,
    Interrupted,
    check_import,
    connect,
    import_package,
)
from hypersdk.cli.hyperexport import hyper2kvm
from hypersdk.cli.hyperexport.exits import HandoverFailed
from hypersdk.cli.hyperexport.options.handover import STEPS, Handover, Libvirt, Pipeline
from hypersdk.cli.interrupts import cancelling
from hypersdk.cli.progress import watching
from hypersdk.cli.terminal import Document, Terminal

#: What a conversion writes unless something else is wished.
CONVERTED = "converted"
#: zlib's usual level, for those who want compression and name none.
_LEVEL = 6


def sections(handover: Handover, target: str) -> dict[str, object]:
    """What the manifest says to who converts it. ``target``: the format that is wished."""
    pipeline = handover.pipeline
    if pipeline is None:
        return {}
    found: dict[str, object] = {
        "pipeline": {step: _step(step, pipeline) for step in STEPS},
        "options": {"dry_run": pipeline.dry_run},
    }
    if pipeline.output is not None:
        found["output"] = {"directory": str(pipeline.output.absolute()), "format": target}
    return found


def _step(step: str, pipeline: Pipeline) -> dict[str, object]:
    found: dict[str, object] = {"enabled": step in pipeline.steps}
    if step == "convert":
        found["compress"] = pipeline.compress
        if pipeline.compress:
            found["compress_level"] = min(pipeline.level or _LEVEL, 9)
    return found


def run(terminal: Terminal, handover: Handover, exported: Exported) -> Document:
    """Do what is wished with an export; what came of it, empty for nothing.

    Raises HandoverFailed, MissingRequirement.
    """
    document: Document = {}
    outputs: tuple[Path, ...] = ()
    if handover.pipeline is not None:
        outputs = hyper2kvm.convert(terminal, handover.pipeline, exported)
        document["converted"] = [str(path) for path in outputs]
    if handover.queue is not None:
        outputs = (hyper2kvm.enqueue(terminal, handover.queue, exported),)
        document["converted"] = [str(path) for path in outputs]
    if handover.libvirt is not None:
        try:
            document["libvirt"] = _define(terminal, handover.libvirt, exported, outputs)
        except (HandoverFailed, Interrupted):
            raise
        except HyperSDKError as error:
            raise HandoverFailed(
                f"{exported.instance.name} was not defined in libvirt: {error.message}",
                hint=f"{error.hint} The export is complete.".strip(),
            ) from error
    return document


def _define(
    terminal: Terminal, libvirt: Libvirt, exported: Exported, converted: tuple[Path, ...]
) -> Document:
    """The instance in libvirt: what was converted, else what was exported as it is."""
    package = _package(exported, converted)
    hypervisor = connect(f"libvirt+{libvirt.uri}")
    try:
        networks = {}
        if libvirt.network:
            cards = check_import(hypervisor, package).details.nics
            networks = {card.network: libvirt.network for card in cards}
        settings = ImportOptions(
            name=exported.instance.name,
            networks=networks,
            storage=libvirt.pool,
            start=libvirt.start,
        )
        with cancelling(terminal) as cancel, watching(terminal) as watch:
            imported = import_package(
                package, hypervisor, options=settings, reporter=watch, cancel=cancel
            )
    finally:
        hypervisor.close()
    terminal.note(f"{imported.instance.name}: defined on {hypervisor.url}")
    return {"hypervisor": hypervisor.url, "name": imported.instance.name}


def _package(exported: Exported, converted: tuple[Path, ...]) -> Path:
    if len(converted) == 1:
        return converted[0]
    if converted:
        raise HandoverFailed(
            f"{exported.instance.name}: hyper2kvm made {len(converted)} files, and libvirt is "
            "given an instance from one",
            hint="Define it by hand, or leave out --libvirt.",
        )
    suffix = f".{exported.format}" if exported.format == "ova" else ".ovf"
    for file in exported.files:
        if file.name.endswith(suffix):
            return exported.folder / file.name
    raise HandoverFailed(
        f"{exported.instance.name}: an export as {exported.format} has no descriptor for libvirt",
        hint="Export it as ovf or ova.",
    )
