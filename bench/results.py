"""All samples of one run, where they were taken, and how they are kept in a file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from json import dumps, loads
from pathlib import Path
from statistics import median

from bench.contender import OURS, Contender, Sample
from bench.image import Image
from bench.measure import ROOT


@dataclass(frozen=True, slots=True)
class Results:
    """One run of the benchmark."""

    #: When it ended, UTC, ISO 8601.
    time: str
    #: The command line that produced it.
    command: str
    machine: Mapping[str, str]
    #: Bytes of the image that lie in data areas.
    allocated: int
    #: Contender and measure → the program call, with the work folder written as ``$WORK``.
    calls: Mapping[str, str]
    #: Contenders that were not installed.
    absent: tuple[str, ...]
    samples: tuple[Sample, ...]

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


def calls_of(contenders: list[Contender], work: Path) -> dict[str, str]:
    """How each contender is called, for the report."""
    return {
        f"{contender.label}, {measure}": " ".join(
            part.replace(str(work), "$WORK").removeprefix(f"{ROOT}/")
            for part in trial.command.arguments
        )
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
    """Everything in one record."""
    return Results(
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        machine=machine,
        allocated=image.allocated,
        calls=calls_of(contenders, image.path.parent),
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
    return Results(**{**raw, "absent": tuple(raw["absent"]), "samples": samples})
