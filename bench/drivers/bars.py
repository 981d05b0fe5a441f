"""The bar of the drivers: what they add to the calls of the libraries that they use."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from bench.drivers.run import MEASURES, RAW
from bench.drivers.sites import LIST, STATUS
from bench.results import Results
from bench.row import Row

TITLES = {
    LIST: "drivers: list all instances",
    STATUS: "drivers: look at one instance",
}
#: Times as long as the library's own calls.
OVERHEAD = 1.05


def rows(results: Results) -> Iterator[Row]:
    """Every comparison that the samples allow. The ratio is the median of those of the rounds:
    what else the machine does falls on both of a round."""
    for measure in MEASURES:
        for variant in results.variants(measure):
            ours = results.of(measure, variant=variant)
            raw = results.of(measure, RAW, variant)
            mine = f"{median(sample.seconds for sample in ours) * 1e3:.3f} ms"
            if not raw:
                yield Row(measure, f"{variant}: no library", mine, "", "")
                continue
            theirs = f"{median(sample.seconds for sample in raw) * 1e3:.3f} ms"
            ratio = median(a.seconds / b.seconds for a, b in zip(ours, raw, strict=True))
            yield Row(
                measure,
                variant,
                mine,
                theirs,
                f"{ratio:.3f} times as long",
                f"≤ {OVERHEAD:g} times",
                met=ratio <= OVERHEAD,
            )
