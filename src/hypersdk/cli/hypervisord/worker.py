"""``hypervisord worker``"""

from __future__ import annotations

import gc
from dataclasses import dataclass

import click

from hypersdk.cli.hypervisord.command import chosen, setting_options

#: Not for people: of workers that the daemon begins itself.
_OWN_ID = "daemon"


@dataclass(frozen=True, slots=True)
class Options:
    queues: str | None
    slots: int | None
    id: str
    supervised: bool


@click.command("worker")
@setting_options
@click.option("--queues", metavar="NAME,…", help="Queues whose jobs it takes.  [default: default]")
@click.option("--slots", type=click.IntRange(1, 1000), metavar="N", help="Jobs at once.")
@click.option(
    "--id", default="", metavar="NAME",
    help="The same at every start, so that it finds its jobs again.  [default: HOST-PROCESS]",
)  # fmt: skip
@click.option("--supervised", is_flag=True, hidden=True, help="Begun by the daemon.")
@click.pass_context
def worker(context: click.Context, /, **given: object) -> None:
    """Run jobs of a daemon, on this host or another one.

    It needs nothing but the daemon's database. Any number may run; SIGTERM drains.
    """
    context.exit(run(Options(**given)))  # type: ignore[arg-type]


def run(options: Options) -> int:
    said = chosen()
    settings = said.load()
    gc.disable()  # until all is loaded
    # Only now: the engine of jobs takes a while to load, and the API does without it.
    from hypersdk.app.worker import WorkerOptions, queues_of, run_worker  # noqa: PLC0415

    queues = queues_of(options.queues) if options.queues else settings.workers.queues
    return run_worker(
        settings,
        WorkerOptions(
            id=options.id or (_OWN_ID if options.supervised else ""),
            queues=tuple(queues),
            slots=options.slots or settings.workers.slots,
            supervised=options.supervised,
        ),
        said.load,
    )
