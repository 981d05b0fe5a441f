"""What a history of exports adds up to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypersdk.artifacts.exportrecord import ExportRecord

#: Records that a report shows.
LAST = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportStatistics:
    """Of the records given. Sizes and durations are of those that succeeded."""

    total: int
    succeeded: int
    failed: int
    #: 0 to 100; 0 when there are none.
    success_percent: float
    #: Bytes.
    total_size: int
    #: Seconds; 0 when none succeeded.
    mean_duration: float
    #: Format → how many succeeded; the most frequent first.
    by_format: dict[str, int]
    by_provider: dict[str, int]
    #: The newest, newest first.
    last: tuple[ExportRecord, ...]


def statistics_of(records: Sequence[ExportRecord], last: int = LAST) -> ExportStatistics:
    """What they add up to."""
    good = [record for record in records if record.success]
    return ExportStatistics(
        total=len(records),
        succeeded=len(good),
        failed=len(records) - len(good),
        success_percent=100 * len(good) / len(records) if records else 0.0,
        total_size=sum(record.total_size for record in good),
        mean_duration=sum(record.duration for record in good) / len(good) if good else 0.0,
        by_format=_counted([record.format for record in good]),
        by_provider=_counted([record.provider for record in good]),
        last=tuple(sorted(records, key=lambda record: record.timestamp, reverse=True)[:last]),
    )


def _counted(values: Sequence[str]) -> dict[str, int]:
    counts = {value: values.count(value) for value in dict.fromkeys(values)}
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])))
