"""The results as a table on the terminal and as a page of the documentation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import median

from rich.console import Console
from rich.table import Table

from bench.bars import TITLES, judge
from bench.results import Daemon, Results
from bench.row import Row

MIB = 1 << 20

COLUMNS = ("against", "ours", "theirs", "result", "bar", "met", "floor")

HEAD = """\
# Benchmarks

Written by `scripts/bench`; do not edit. All figures of a section come from one run on one machine
and are compared only with each other.

"Floor" is the ratio that the limit program reaches on this machine: it does nothing but what cannot
be left out, which is to compress with zstd level 1 (first backup) or to hash with BLAKE3 (full
read). Where the floor is below the bar, no backup that works this way can meet the bar here.
"""

FIGURES = """\
## Every figure

Seconds are wall clock: median, fastest and slowest run. CPU is user and system time of all
threads. Stored is what the contender's store takes afterwards. Load is the one-minute load average
before the run, median.
"""

CALLS = """\
## How each was called

`$WORK` is the work folder, `$LIBVIRT` that of the private libvirtd; passphrases are in the
environment, and so are our repository and cache where the call names none.
"""

CAVEATS = """\
## What to know when reading this

- Every figure is the wall clock of a whole process, started anew: interpreter start, unlocking of
  the repository and everything else is in it, for us and for the peers.
- The image is in the page cache for everyone; what was written before is brought to disk before
  each run. Nothing is said about cold disks.
- restic and borg encrypt and authenticate as we do. `qemu-img`, `nbdcopy` and the limit program do
  not encrypt, hash or deduplicate.
- The limit program reads the allocated 1 MiB chunks on all cores, compresses or hashes them and
  drops the result. It writes nothing.
- "least backup" is all the work on bytes that a first backup like ours consists of: read, name
  every chunk by its hash, compress, encrypt, name the packs by their hash, write them. It keeps no
  index and no map, checks nothing and commits nothing. What we take beyond it is the price of our
  code; what it takes beyond the limit program is the price of naming, encrypting and writing.
- `nbdcopy` reads everything through a socket and does nothing with it.
- restic, and borg without `--sparse`, read holes as zeroes and write them at restore. That is how
  most call them, and part of their time. The rows of borg with `--sparse` are its better case.
- `qemu-img -W` writes out of order, which is its better case as well.
- Restored disks are compared with the original byte by byte, outside the timing.
- The large disks of the incremental measure hold data in 2000 places; the rest is a hole.
- The chunks of the prune measure are 64 KiB that compress to almost nothing: the counts of chunks
  and restore points are real, the packs are far fewer than with real data. Each run starts without
  a cache, prunes half of the points and collects twice, without the grace time between.
- Where the place is tmpfs on a virtual machine, pages that the guest never touched cost the host's
  time as well: five restores in a row, in one process on the machine of the published page, took
  14.5, 16.7, 5.8, 4.3 and 3.6 s of system time at 2.4 to 2.9 s of user time. A restore writes most
  of all; compare the CPU column before comparing runs.
- Peak memory is that of the largest single process of a run.

Backups of a running guest:

- Every contender gets the same guest, started on a fresh copy of the same qcow2 disk, one after the
  other: virtnbdbackup refuses domains with checkpoints of another program. A turn is a full backup,
  an incremental one while nothing is written, the scattered writes, an incremental backup of them,
  and a restore of the last state to qcow2, which is compared with the guest's disk.
- The disk, what is stored and what is restored lie on the filesystem named above, and so do the
  scratch files of both. virtnbdbackup waits a second before each connection to QEMU; that is part
  of its time. It neither encrypts nor deduplicates nor hashes; its restore checks no checksum.
- The guest runs in software and has one processor. Its backup and its own work share the cores.
- Scattered writes are 8 KiB of the image's own content each, at random places of the whole disk,
  most of them in places that held nothing. QEMU's bitmap has areas of 64 KiB, which is what an
  incremental backup reads at least for each. "Stored" is what the store grew by.
- Latency: the guest overwrites 8 KiB at random places of its data, past its page cache, one write
  after another, as fast as it can. QEMU counts the time from a write's arrival to its completion
  (`block-latency-histogram-set`); its classes are 10 % wide. How long the guest's processor waits
  for its turn is not in it, but shows in the number of writes done per second.
- The domains of the parallel measure have no system and are paused. All of them are restored and
  compared afterwards.

Drivers:

- We and the library that a driver uses ask the same thing of the same daemon in turn, 20 times a
  round; a sample is the median of a round, the ratio the median of the rounds' ratios. All within
  one process, over connections that are open; both of libvirt's with keep-alive messages, without
  which a host that is gone is never noticed.
- Libraries hand out what they parsed; libvirt's hands out XML as text, so parsing it belongs to its
  side of a look at one instance. Ours adds to each the records of our model and typed errors.
- The machines have no system. A look at a running one asks QEMU, which answers in its own time.
- Marks of libvirt's domains (who made them, tags, folders) are asked for once and kept until
  libvirt says that something happened to the domain: the first list takes longer.

vSphere:

- The vCenter is the lab (docs/vsphere-lab.md) on the same machine: VMware's simulator, extended. It
  shares the processors with its clients, and no figure says how fast a real vCenter or host is. In
  each round everybody asks the same lab for the same thing in turn; ratios are of medians for whole
  processes, medians of the rounds' ratios for lists.
- Exports: four disks of 2 GiB, 1 GiB of files each. The lab packs each disk once, before the first
  round. Throttled streams get 50 MiB/s each, about what one stream of a host gives. govc reads one
  disk after the other; both make SHA-256 digests, and the first disk is unpacked and compared with
  the original after each run, outside the timing.
- Data per processor second counts unpacked data of the guest and the time of all threads. "Read,
  compared and written" is the export alone: TLS, unpacking every grain, comparing with vSphere's
  digest, digests of the files, writing, fsync. "Whole process" has the interpreter's start, imports
  and logging in besides. Holes cost nothing and count nothing.
- Many at once: 20 machines of one disk with 48 MiB of files on 4 hosts and 2 datastores, 3 allowed
  at a time on a host and 5 on a datastore. Leases are those that the lab saw open at a time, the
  most since it began; they are counted by the lab, not by us.
- Backups: one disk of 100 GiB with 1000 areas of 64 KiB, all of which are written anew before each
  incremental backup. Peak memory is that of the whole process.
- Lists: 10 000 machines. "12 properties" reads the same twelve by our property collector and by
  pyVmomi with one view and no page size, which is the least that reads them. The row without a bar
  is what people get: the eight properties of a listing, sorted by name, with folders, as instances,
  beside pyVmomi reading the same eight and doing nothing with them; ours asks for names first.
- First row: a command is started on a pseudo terminal of 120 columns, until the name of a machine
  is on it. `hyperexport` opens its screen, which fills as machines come; `hypersdk fleet list`
  aligns what all hypervisors have, and prints it when the last has answered.
- Told of a change: a machine is started or stopped over another connection while 10 000 are
  followed: from the call to the event, the lab's own work on the machine included. The lab tells of
  what changed as a vCenter does; VMware's simulator alone reads all machines anew for each change.
"""


DAEMON = """## The daemon

On SQLite, with 100 000 ended jobs in its database where nothing else is said; the client that
loads it shares the machine's processors with it.
"""


def show(results: Results, console: Console) -> None:
    """The judged table."""
    table = Table(title="HyperSDK beside its peers", title_justify="left")
    table.add_column("what", ratio=3, overflow="fold")
    table.add_column("against", ratio=3, overflow="fold")
    for column in COLUMNS[1:]:
        table.add_column(column, justify="right", ratio=2 if column in ("result", "bar") else None)
    previous = ""
    for row in judge(results):
        if row.measure != previous:
            table.add_section()
        title = TITLES[row.measure] if row.measure != previous else ""
        previous = row.measure
        style = "bold red" if row.met is False else None
        table.add_row(title, *_cells(row), style=style)
    console.print(table)


def page(results: Results) -> str:
    """docs/benchmarks.md."""
    rows = judge(results)
    judged = [row for row in rows if row.met is not None]
    missed = [row for row in judged if not row.met]
    own = [each for each in results.daemon.figures if each.met is not None]
    met = len(judged) - len(missed) + sum(each.met is True for each in own)
    return "\n".join(
        [
            HEAD,
            f"{met} of {len(judged) + len(own)} bars met.",
            *_missed(missed),
            *(
                f"- daemon: {each.name}: {each.text}, bar {each.wanted}"
                for each in own
                if not each.met
            ),
            "",
            *_results(rows),
            *_daemon(results.daemon),
            "## Machine and image",
            "",
            *_table(("fact", "value"), results.machine.items()),
            "",
            *(f"Measured {time} by `{command}`.  " for command, time in results.runs.items()),
            *([f"Not installed: {', '.join(results.absent)}."] if results.absent else []),
            "",
            FIGURES,
            *_table(_COSTS, _figures(results)),
            "",
            CALLS,
            *_table(("contender, measure", "call"), _calls(results)),
            "",
            CAVEATS,
        ]
    )


def _daemon(daemon: Daemon) -> Iterator[str]:
    if daemon.figures:
        yield f"{DAEMON}\nMeasured {daemon.time} by `scripts/bench daemon`.\n"
        cells = ((each.name, each.text, each.wanted, each.verdict) for each in daemon.figures)
        yield from _table(("what", "measured", "bar", "met"), cells)
        yield ""


def _missed(rows: Sequence[Row]) -> Iterator[str]:
    if rows:
        yield ""
        yield "Not met:"
        yield ""
    for row in rows:
        floor = f"; floor {row.floor}" if row.floor else ""
        yield f"- {TITLES[row.measure]}, {row.against}: {row.figure}, bar {row.bar}{floor}"


def _results(rows: Sequence[Row]) -> Iterator[str]:
    for measure, title in TITLES.items():
        chosen = [row for row in rows if row.measure == measure]
        if chosen:
            yield f"## {title[0].upper()}{title[1:]}"
            yield ""
            yield from _table(COLUMNS, map(_cells, chosen))
            yield ""


def _cells(row: Row) -> tuple[str, ...]:
    return (row.against, row.ours, row.theirs, row.figure, row.bar, row.verdict, row.floor)


_COSTS = (
    *("measure", "contender", "median s", "min s", "max s", "CPU s", "peak MiB", "stored MiB"),
    *("load", "runs"),
)


def _figures(results: Results) -> Iterator[Sequence[str]]:
    for measure, contender, variant in results.entries():
        samples = results.of(measure, contender, variant)
        times = [sample.seconds for sample in samples]
        stored = samples[-1].stored
        yield (
            measure,
            f"{contender} ({variant})" if variant else contender,
            _seconds(median(times)),
            _seconds(min(times)),
            _seconds(max(times)),
            f"{median(sample.cpu_seconds for sample in samples):.2f}",
            f"{max(sample.peak_rss for sample in samples) / MIB:.0f}",
            f"{stored / MIB:.0f}" if stored else "",
            f"{median(sample.load for sample in samples):.1f}",
            str(len(samples)),
        )


def _seconds(taken: float) -> str:
    return f"{taken:.2f}" if taken >= 0.1 else f"{taken:.6f}"


def _calls(results: Results) -> Iterator[Sequence[str]]:
    return ((what, f"`{call}`") for what, call in results.calls.items())


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(header)} |"
    yield f"|{'---|' * len(header)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
