"""All who want to know what a run does."""

from __future__ import annotations

from functools import partial

from hypersdk.cli.hyperexport import history
from hypersdk.cli.hyperexport.audit import AuditLog
from hypersdk.cli.hyperexport.notices import Hook, Services, mail_address, resolved
from hypersdk.cli.hyperexport.options.notices import Moments, Telling
from hypersdk.cli.hyperexport.outcomes import Listener
from hypersdk.cli.terminal import Terminal


def all_of(terminal: Terminal, telling: Telling) -> list[Listener]:
    """The history always; the others as they were asked for. Raises InvalidInput."""
    found: list[Listener] = []
    if telling.audit_log is not None:
        found.append(AuditLog(telling.audit_log))
    found.append(history.Recorder(terminal))
    found += [Services(terminal, partial(resolved, url), Moments()) for url in telling.urls]
    if telling.mail is not None:
        address = partial(mail_address, telling.mail)
        found.append(Services(terminal, address, telling.mail.moments))
    if telling.webhook is not None:
        found.append(Hook(terminal, telling.webhook))
    return found
