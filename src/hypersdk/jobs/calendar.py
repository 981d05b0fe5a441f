"""When schedules begin: cron expressions in time zones, and windows of the week. Pure.

Daylight saving, as `cronsim` has it, which follows Debian's cron. For an expression that names
hour and minute, a moment that the clock skips comes once, at the next one that exists
(``30 2 * * *`` at 03:00), and one that the clock shows twice comes once, the first time. One that
has ``*`` or ``*/N`` for the hour or the minute goes by real time: every hour is an hour, whatever
the clock shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from hypersdk.model.errors import InvalidInput
from hypersdk.model.schedules import Weekday, Window

_ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
#: Moments of a cron expression that are looked at for one inside of windows: four years of
#: nights, or a week of minutes.
_TRIES = 11_000
_DAY = timedelta(days=1)
#: Windows that follow each other for so long never close.
_NEVER = timedelta(days=8)


def check(cron: str, zone: str, windows: Sequence[Window] = ()) -> None:
    """Raises InvalidInput for what `next_moment` would not understand."""
    zone_of(zone, "zone")
    for at, window in enumerate(windows):
        zone_of(window.zone, f"windows[{at}].zone")
        if not window.days:
            raise InvalidInput(
                f"windows[{at}].days: a window without days is never open",
                hint="Name days such as mon, tue, or leave them out for all.",
            )
    _parsed(cron, datetime(2026, 1, 1, tzinfo=UTC))


def next_moment(
    cron: str, zone: str, after: datetime, windows: Sequence[Window] = ()
) -> datetime | None:
    """The first moment after ``after`` that is inside of the windows, in UTC; None when there is
    none in sight. Raises InvalidInput."""
    return next(iter(moments(cron, zone, after, windows)), None)


def preview(
    cron: str, zone: str, after: datetime, windows: Sequence[Window], count: int
) -> tuple[datetime, ...]:
    """At most ``count`` next moments. Raises InvalidInput."""
    return tuple(islice(moments(cron, zone, after, windows), count))


def moments(
    cron: str, zone: str, after: datetime, windows: Sequence[Window] = ()
) -> Iterator[datetime]:
    """All next moments inside of the windows, in UTC."""
    last, tries = after, 0
    for local in _parsed(cron, after.astimezone(zone_of(zone, "zone"))):
        moment = local.astimezone(UTC)
        # In the hour that the clock shows twice, it begins with the first one again.
        if moment <= last:
            continue
        if not windows or inside(windows, moment):
            last, tries = moment, 0
            yield moment
            continue
        tries += 1
        if tries > _TRIES:
            return


def inside(windows: Iterable[Window], moment: datetime) -> bool:
    """Whether one of them is open; without any, always."""
    all = tuple(windows)
    return not all or any(_end(window, moment) is not None for window in all)


def closes(windows: Iterable[Window], moment: datetime) -> datetime | None:
    """When the time that is open at ``moment`` ends, in UTC; None: never, or it is closed now."""
    all = tuple(windows)
    now, limit = moment, moment + _NEVER
    while ends := [end for window in all if (end := _end(window, now)) is not None]:
        now = max(ends)
        if now > limit:
            return None
    return now if now > moment else None


def zone_of(name: str, field: str) -> ZoneInfo:
    """Raises InvalidInput that names the field."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidInput(
            f"{field}: there is no time zone '{name}'",
            hint="Write a name of the time zone database, such as Europe/Berlin or UTC.",
        ) from error


def _end(window: Window, moment: datetime) -> datetime | None:
    """When the window that is open at ``moment`` closes, in UTC; None when it is closed."""
    zone = zone_of(window.zone, "windows.zone")
    today = moment.astimezone(zone).date()
    for day in (today, today - _DAY):
        if Weekday(day.weekday()) not in window.days:
            continue
        last = day if window.end > window.start else day + _DAY
        start, end = _moment(day, window.start, zone), _moment(last, window.end, zone)
        if start <= moment < end:
            return end
    return None


def _moment(day: date, clock: time, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, clock, tzinfo=zone).astimezone(UTC)


def _parsed(cron: str, after: datetime) -> CronSim:
    fields = _ALIASES.get(cron.strip().lower(), cron).split()
    if len(fields) != 5:  # the library would take seconds as a sixth
        raise _no_cron(cron, "it has five fields")
    try:
        return CronSim(" ".join(fields), after)
    except CronSimError as error:
        raise _no_cron(cron, str(error)) from error


def _no_cron(cron: str, why: str) -> InvalidInput:
    return InvalidInput(
        f"cron: '{cron}' is no cron expression: {why}",
        hint="Write minute, hour, day, month, weekday, such as 30 2 * * 1-5, or @daily.",
    )
