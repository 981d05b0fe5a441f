"""docs/security.md says of roles and limits what the code does.

``python -m tests.docs.test_security`` writes the table of roles anew.
"""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import timedelta
from pathlib import Path

import pytest

from hypersdk.accounts import access, answers, passwords, throttle, tickets, tokens
from hypersdk.accounts.rates import RateLimits
from hypersdk.api import idempotency, limits, loopback, protocols
from hypersdk.config.daemon.sections import AuthSettings, LimitSettings
from hypersdk.contract.routes import ROUTES
from hypersdk.contract.routes.accounts import ROUTES as OURS
from hypersdk.contract.routing import Route
from hypersdk.model.accounts import Role

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
_BETWEEN = re.compile(r"(<!-- roles:.*?-->\n)(.*?)(<!-- end of roles -->)", re.DOTALL)


def roles() -> str:
    """The table: a part of the interface, and who may look, and change what."""
    parts: dict[str, list[Route]] = defaultdict(list)
    for route in ROUTES:
        parts[route.scope].append(route)
    lines = ["| part | looks | changes |", "|---|---|---|"]
    for scope, routes in sorted(parts.items()):
        looks = _lowest([route for route in routes if not route.action])
        lines.append(f"| `{scope}` | {looks} | {_changes(routes)} |")
    return "\n".join(lines) + "\n"


def _lowest(routes: list[Route]) -> str:
    if not routes:
        return ""
    found = {route.role for route in routes}
    names = [role.value for role in Role if role in found]
    return ", ".join([*(["everybody"] if None in found else []), *names])


def _changes(routes: list[Route]) -> str:
    actions: dict[str, set[str]] = defaultdict(set)
    for route in routes:
        if route.action:
            actions[route.role.value if route.role else "everybody"].add(route.action)
    known = [name for name in ("everybody", *(role.value for role in Role)) if name in actions]
    return "; ".join(f"{name}: {', '.join(sorted(actions[name]))}" for name in known)


def _page_with(table: str) -> str:
    return _BETWEEN.sub(lambda found: found[1] + table + found[3], PAGE.read_text())


def test_roles() -> None:
    assert PAGE.read_text() == _page_with(roles()), (
        "write the table anew: python -m tests.docs.test_security"
    )


def limit(what: str) -> str:
    """What the page says of a limit."""
    (found,) = re.findall(rf"^\| {re.escape(what)} \| (.*?) \|", PAGE.read_text(), re.MULTILINE)
    return str(found)


@pytest.mark.parametrize(
    ("what", "is_so"),
    [
        (
            "password, characters",
            f"{passwords.PASSWORD_LEAST} … {passwords.PASSWORD_MOST}",
        ),
        (
            "Argon2id: memory, passes, lanes",
            f"{passwords.MEMORY_KIB >> 10} MiB, {passwords.PASSES}, {passwords.LANES}",
        ),
        ("passwords checked at once", f"{passwords.AT_ONCE}"),
        ("log-ins that may fail without a wait", f"{throttle.PAIR.free}"),
        ("longest wait after failed log-ins", f"{throttle.PAIR.longest:g} s"),
        ("session", f"{access.SESSION_HOURS:g} h"),
        ("sessions, tokens of one user", f"{tokens.SESSIONS_MOST}, {tokens.TOKENS_MOST}"),
        ("ticket", f"{tickets.TICKET_SECONDS:g} s"),
        (
            "principal remembered without asking the database",
            f"{access.REMEMBERED_SECONDS:g} s",
        ),
        ("body of a request", f"{LimitSettings().body >> 20} MiB"),
        (
            "head of a request",
            f"{protocols.HEAD_MOST >> 10} KiB, in {protocols.HEAD_SECONDS:g} s",
        ),
        (
            "part of a body",
            f"every {limits.BODY_IDLE_SECONDS:g} s, {limits.BODY_RATE_LEAST} B/s on the average",
        ),
        ("answer, from the end of the request", f"{limits.REQUEST_SECONDS:g} s"),
        (
            "unsent part of an answer, before the connection is cut",
            f"{protocols.WRITE_SECONDS:g} s",
        ),
        (
            "requests with one token, per second",
            f"{LimitSettings().rate_per_token:g}, twice that at once",
        ),
        (
            "`Idempotency-Key`",
            f"{idempotency.KEY_MOST} characters, kept for {answers.KEPT.days} day",
        ),
    ],
)
def test_limits(what: str, is_so: str) -> None:
    assert limit(what) == is_so


def test_settings_begin_where_the_code_does() -> None:
    settings = LimitSettings()
    assert settings.header_seconds == protocols.HEAD_SECONDS
    assert settings.request_seconds == limits.REQUEST_SECONDS
    assert settings.body == Route.__dataclass_fields__["body_most"].default
    assert AuthSettings().session_hours == access.SESSION_HOURS
    assert AuthSettings().login_attempts == throttle.PAIR.free
    assert RateLimits(settings.rate_per_token).burst == 2 * settings.rate_per_token
    assert timedelta(days=1) == answers.KEPT


def test_small_bodies() -> None:
    assert limit("body that names a user, token or tenant") == "64 KiB"
    named = [route for route in OURS if route.body is not None]
    assert {route.body_most for route in named} == {64 << 10}


def test_proxies_are_named() -> None:
    text = PAGE.read_text().lower()
    assert [name for name in loopback.FORWARDED if f"`{name}`" not in text] == []


def test_scopes_of_every_token_are_named() -> None:
    assert [name for name in access.EVERY_TOKEN if f"`{name}`" not in PAGE.read_text()] == []


if __name__ == "__main__":
    PAGE.write_text(_page_with(roles()))
