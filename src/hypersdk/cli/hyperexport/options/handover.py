"""What happens to an export afterwards: hyper2kvm converts it, libvirt gets it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from hypersdk.cli.hyperexport.options.values import Given, Option, refuse, span, yes_no
from hypersdk.cli.parameters import PATH

#: Steps of hyper2kvm that can be left out.
STEPS = ("inspect", "fix", "convert", "validate")

OPTIONS: tuple[Option, ...] = (
    yes_no("pipeline", help="Run hyper2kvm on the export; writes a manifest."),
    click.option(
        "--hyper2kvm-path", metavar="PROGRAM", help="hyper2kvm.  [default: found on PATH]"
    ),
    click.option(
        "--pipeline-timeout",
        type=span("m"),
        default="30m",
        show_default=True,
        help="After which it is ended.",
    ),
    yes_no("stream-pipeline", default=True, help="Show what it prints.  [default: yes]"),
    yes_no("pipeline-dry-run", help="Have it change nothing."),
    *(
        yes_no(f"pipeline-{step}", default=True, help=f"Its step {step}.  [default: yes]")
        for step in STEPS
    ),
    yes_no("pipeline-compress", help="Have it compress what it converts."),
    click.option(
        "--pipeline-output",
        type=PATH,
        metavar="DIR",
        help="Where it writes to.  [default: converted, in the folder of the export]",
    ),
    yes_no("hyper2kvm-daemon", help="Hand over to a running hyper2kvm by its watched folder."),
    click.option(
        "--hyper2kvm-watch-dir",
        type=PATH,
        default="/var/lib/hyper2kvm/queue",
        show_default=True,
        metavar="DIR",
        help="That folder.",
    ),
    click.option(
        "--hyper2kvm-output-dir",
        type=PATH,
        default="/var/lib/hyper2kvm/output",
        show_default=True,
        metavar="DIR",
        help="Where it writes to.",
    ),
    click.option(
        "--hyper2kvm-poll-interval",
        type=span("s"),
        default="5s",
        show_default=True,
        help="Between two looks at it.",
    ),
    click.option(
        "--hyper2kvm-daemon-timeout",
        type=span("m"),
        default="60m",
        show_default=True,
        help="After which nobody waits any more.",
    ),
    yes_no("libvirt", help="Define the exported instance in libvirt, its guest unchanged."),
    click.option(
        "--libvirt-uri",
        default="qemu:///system",
        show_default=True,
        metavar="URI",
        help="Of libvirt, as virsh takes it.",
    ),
    yes_no("libvirt-autostart", help="Start it there."),
    click.option("--libvirt-bridge", metavar="NETWORK", help="The network of all its cards."),
    click.option("--libvirt-pool", metavar="POOL", help="The storage pool for its disks."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """A run of hyper2kvm."""

    #: Empty: found on PATH.
    program: str
    #: Seconds.
    timeout: float
    stream: bool
    dry_run: bool
    #: Of `STEPS`, those that are to be done.
    steps: frozenset[str]
    compress: bool
    level: int
    output: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Queue:
    """A running hyper2kvm that watches a folder. Seconds."""

    folder: Path
    output: Path
    every: float
    timeout: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Libvirt:
    """Where it is to be defined."""

    uri: str
    start: bool
    network: str
    pool: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """What is to happen; nothing: all None."""

    pipeline: Pipeline | None = None
    queue: Queue | None = None
    libvirt: Libvirt | None = None

    @property
    def wanted(self) -> bool:
        return bool(self.pipeline or self.queue or self.libvirt)


def handover(given: Given) -> Handover:
    """Raises InvalidInput."""
    found = Handover(pipeline=_pipeline(given), queue=_queue(given), libvirt=_libvirt(given))
    refuse(
        found.pipeline and found.queue,
        "--pipeline and --hyper2kvm-daemon exclude each other",
        "One runs hyper2kvm, the other leaves the work to one that runs.",
    )
    refuse(
        found.wanted and not given["keep_local"],
        "what is handed over has to stay on this machine",
        "Leave out --no-keep-local.",
    )
    refuse(
        found.wanted and given["stream_upload"],
        "what is handed over has to be on this machine",
        "Leave out --stream-upload.",
    )
    refuse(
        found.wanted and (given["encrypt"] or given["compress"]),
        "what is handed over has to be readable as it is",
        "Leave out --encrypt and --compress.",
    )
    return found


def _pipeline(given: Given) -> Pipeline | None:
    if not given["pipeline"]:
        refuse(given["pipeline_dry_run"], "--pipeline-dry-run goes with --pipeline")
        return None
    return Pipeline(
        program=given["hyper2kvm_path"] or "",
        timeout=given["pipeline_timeout"].total_seconds(),
        stream=given["stream_pipeline"],
        dry_run=given["pipeline_dry_run"],
        steps=frozenset(step for step in STEPS if given[f"pipeline_{step}"]),
        compress=given["pipeline_compress"],
        level=given["compress_level"],
        output=given["pipeline_output"],
    )


def _queue(given: Given) -> Queue | None:
    if not given["hyper2kvm_daemon"]:
        return None
    return Queue(
        folder=given["hyper2kvm_watch_dir"],
        output=given["hyper2kvm_output_dir"],
        every=given["hyper2kvm_poll_interval"].total_seconds(),
        timeout=given["hyper2kvm_daemon_timeout"].total_seconds(),
    )


def _libvirt(given: Given) -> Libvirt | None:
    if not given["libvirt"]:
        return None
    return Libvirt(
        uri=given["libvirt_uri"],
        start=given["libvirt_autostart"],
        network=given["libvirt_bridge"] or "",
        pool=given["libvirt_pool"] or "",
    )
