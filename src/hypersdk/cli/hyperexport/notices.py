"""Who wanted to be told is told: by services of apprise, by mail, by webhook."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from urllib.parse import quote, urlencode

from hypersdk import HyperSDKError
from hypersdk.cli import words
from hypersdk.cli.hyperexport.exits import PROGRAM, described
from hypersdk.cli.hyperexport.options.notices import Mail, Moments, Webhook
from hypersdk.cli.hyperexport.options.values import hinted
from hypersdk.cli.hyperexport.outcomes import Outcome, Run
from hypersdk.cli.terminal import Document, Terminal
from hypersdk.config.secrets import KINDS, resolve
from hypersdk.observe.notify import notify
from hypersdk.observe.redact import redact_text
from hypersdk.observe.webhooks import send_webhook


class Services:
    """``--notify`` and mail: a title and some lines, through apprise."""

    def __init__(self, terminal: Terminal, address: Callable[[], str], moments: Moments) -> None:
        """``address``: gives the URL of apprise when it is needed; it usually holds a secret."""
        self._terminal = terminal
        self._address = address
        self._moments = moments

    def began(self, run: Run) -> None:
        if self._moments.start:
            self._send(f"Export begins: {run.title}", _about(run), failed=None)

    def settled(self, run: Run, outcome: Outcome) -> None:
        """One message for the whole run is enough."""

    def ended(self, run: Run, outcomes: Sequence[Outcome]) -> None:
        failed = [each for each in outcomes if each.error is not None]
        if any(each.interrupted for each in failed):
            return  # by a person who knows
        if failed and self._moments.failure:
            self._send(f"Export failed: {run.title}", _lines(outcomes), failed=True)
        elif not failed and self._moments.complete:
            self._send(f"Export completed: {run.title}", _lines(outcomes), failed=False)

    def _send(self, title: str, body: str, *, failed: bool | None) -> None:
        try:
            host = platform.node()
            full = f"[{PROGRAM}] {title} ({host})"
            notify(self._address(), full, redact_text(body), failed=failed)
        except HyperSDKError as error:
            warn(self._terminal, error)


class Hook:
    """A webhook: an event for each beginning and each instance that is done."""

    def __init__(self, terminal: Terminal, webhook: Webhook) -> None:
        self._terminal = terminal
        self._webhook = webhook

    def began(self, run: Run) -> None:
        if self._webhook.moments.start:
            payload: Document = {
                "instances": list(run.names),
                "hypervisor": run.hypervisor,
                "format": run.format,
                "place": run.place,
            }
            self._send("export.started", payload, f"Export begins: {run.title}")

    def settled(self, run: Run, outcome: Outcome) -> None:
        moments = self._webhook.moments
        if outcome.error is not None and moments.failure and not outcome.interrupted:
            text = f"Export failed: {outcome.name}: {outcome.error.message}"
            failure: Document = {
                "instance": outcome.name,
                "hypervisor": run.hypervisor,
                "error": described(outcome.error),
            }
            self._send("export.failed", failure, text)
        elif outcome.error is None and moments.complete:
            payload: Document = {
                "instance": outcome.name,
                "hypervisor": run.hypervisor,
                "format": run.format,
                "place": outcome.place,
                "size": outcome.size,
                "seconds": round(outcome.seconds, 3),
            }
            self._send("export.completed", payload, f"Export completed: {_line(outcome)}")

    def ended(self, run: Run, outcomes: Sequence[Outcome]) -> None:
        """Each instance was told of when it was done."""

    def _send(self, event: str, payload: Document, text: str) -> None:
        webhook = self._webhook
        try:
            secret = resolve(webhook.secret) if webhook.secret else ""
            url = resolved(webhook.url)
            send_webhook(url, event, payload, secret, kind=webhook.kind, text=text)
        except HyperSDKError as error:
            warn(self._terminal, error)


def resolved(url: str) -> str:
    """The URL itself, or the one that a reference (env:NAME) names."""
    return resolve(url) if url.partition(":")[0] in KINDS else url


def mail_address(mail: Mail) -> str:
    """The server and its users, as apprise wants them in one URL."""
    scheme = "mailto" if mail.security == "none" else "mailtos"
    login = ""
    if mail.user:
        login = f"{quote(mail.user, safe='')}:{quote(resolve(mail.password), safe='')}@"
    query = {"smtp": mail.host, "from": mail.sender, "to": ",".join(mail.to)}
    if mail.security != "none":
        query["mode"] = mail.security
    return f"{scheme}://{login}{mail.host}:{mail.port}/?{urlencode(query)}"


def warn(terminal: Terminal, error: HyperSDKError) -> None:
    """Nobody could be told: what was done is done."""
    terminal.complain(f"warning: {redact_text(hinted(error))}")


def _about(run: Run) -> str:
    return f"From {run.hypervisor} as {run.format} to {run.place}: {', '.join(run.names)}"


def _lines(outcomes: Sequence[Outcome]) -> str:
    return "\n".join(_line(each) for each in outcomes)


def _line(outcome: Outcome) -> str:
    if outcome.error is not None:
        return f"{outcome.name}: failed: {hinted(outcome.error)}"
    size, time = words.size(outcome.size), words.duration(outcome.seconds)
    return f"{outcome.name}: exported to {outcome.place} ({size} in {time})"
