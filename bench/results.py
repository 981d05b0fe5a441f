"""All samples, where they were taken, and how they are kept in a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from json import dumps, loads
from pathlib import Path
from statistics import median

from bench.contender import OURS, Contender, Sample
from bench.daemon.figures import Figure
from bench.image import Image
from bench.measure import ROOT


@dataclass(frozen=True, slots=True)
class Daemon:
    """The daemon's figures, which have no peers."""

    #: When the run ended, UTC, ISO 8601; empty: there was none.
    time: str = ""
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True, slots=True)
class Results:
    """One run of the benchmark, or several whose measures stand beside each other."""

    #: Command line of each run → when it ended, UTC, ISO 8601.
    runs: Mapping[str, str]
    machine: Mapping[str, str]
    #: Bytes of the image of the race that lie in data areas; 0 without a race.
    allocated: int
    #: Contender and measure → the program call, with the work folder written as ``$WORK``.
    calls: Mapping[str, str]
    #: Contenders that were not installed.
    absent: tuple[str, ...]
    samples: tuple[Sample, ...]
    daemon: Daemon = Daemon()

    def of(self, measure: str, contender: str = OURS, variant: str = "") -> list[Sample]:
        """The samples of one contender in one measure, in the order of the rounds."""
        wanted = (measure, contender, variant)
        return [s for s in self.samples if (s.measure, s.contender, s.variant) == wanted]

    def seconds(self, measure: str, contender: str = OURS, variant: str = "") -> float | None:
        """Median; None when the contender did not take part."""
        samples = self.of(measure, contender, variant)
        return median(sample.seconds for sample in samples) if samples else None

    def variants(self, measure: str, contender: str = OURS) -> list[str]:
        """Ways in which a contender was called for a measure, in the order of the run."""
        found = (s for s in self.samples if (s.measure, s.contender) == (measure, contender))
        return list(dict.fromkeys(sample.variant for sample in found))

    def entries(self) -> list[tuple[str, str, str]]:
        """(measure, contender, variant) of all samples, in the order of the run."""
        return list(dict.fromkeys((s.measure, s.contender, s.variant) for s in self.samples))

    def beside(self, earlier: Results) -> Results:
        """These results, with those of the earlier ones whose measures were not taken again."""
        measures = {sample.measure for sample in self.samples}
        kept = [sample for sample in earlier.samples if sample.measure not in measures]
        replaced = {call for call in earlier.calls if call.rpartition(", ")[2] in measures}
        return Results(
            runs={**earlier.runs, **self.runs},
            machine={**earlier.machine, **self.machine},
            allocated=self.allocated or earlier.allocated,
            calls={call: how for call, how in earlier.calls.items() if call not in replaced}
            | dict(self.calls),
            absent=tuple(dict.fromkeys((*earlier.absent, *self.absent))),
            samples=(*kept, *self.samples),
            daemon=self.daemon if self.daemon.figures else earlier.daemon,
        )

    def with_daemon(self, daemon: Daemon) -> Results:
        """These results, with the figures of another run of the daemon."""
        return replace(self, daemon=daemon)


def calls_of(contenders: list[Contender], names: Mapping[Path, str]) -> dict[str, str]:
    """How each contender is called, for the report; folders go by the names given to them."""

    def spelled(part: str) -> str:
        for folder, name in names.items():
            part = part.replace(str(folder), name)
        return part.removeprefix(f"{ROOT}/")

    return {
        f"{contender.label}, {measure}": " ".join(map(spelled, trial.command.arguments))
        for contender in contenders
        if contender.version
        for measure, trial in contender.trials.items()
    }


def collect_results(
    command: str,
    image: Image,
    machine: Mapping[str, str],
    contenders: list[Contender],
    samples: list[Sample],
) -> Results:
    """The race and our own measures in one record."""
    names = {image.path.parent: "$WORK"}
    return results_of(command, machine, contenders, names, samples, image.allocated)


def results_of(
    command: str,
    machine: Mapping[str, str],
    contenders: list[Contender],
    names: Mapping[Path, str],
    samples: list[Sample],
    allocated: int = 0,
) -> Results:
    """One run, which ended now."""
    return Results(
        runs={command: datetime.now(UTC).isoformat(timespec="seconds")},
        machine=machine,
        allocated=allocated,
        calls=calls_of(contenders, names),
        absent=tuple(contender.label for contender in contenders if not contender.version),
        samples=tuple(samples),
    )


def save(results: Results, path: Path) -> None:
    """As JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dumps(asdict(results), indent=1) + "\n")


def load(path: Path) -> Results:
    """What ``save`` wrote."""
    raw = loads(path.read_text())
    samples = tuple(Sample(**sample) for sample in raw.pop("samples"))
    said = raw.pop("daemon", {"time": "", "figures": []})
    daemon = Daemon(said["time"], tuple(Figure(**each) for each in said["figures"]))
    kept = {**raw, "absent": tuple(raw["absent"]), "samples": samples, "daemon": daemon}
    return Results(**kept)
