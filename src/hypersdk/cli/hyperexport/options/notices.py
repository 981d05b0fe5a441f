"""Who is told of an export: chat, mail, webhooks, and a log for auditors."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import click

from hypersdk.cli.hyperexport.options.values import Given, Option, refuse, yes_no
from hypersdk.cli.parameters import PATH, Words
from hypersdk.config.secrets import SecretReference

OPTIONS: tuple[Option, ...] = (
    click.option(
        "--notify",
        multiple=True,
        metavar="URL",
        help="Tell how it ended: a URL of apprise, or a reference to one (env:NAME).",
    ),
    yes_no("email-notify", help="Tell by mail."),
    click.option("--email-smtp-host", metavar="HOST", help="The mail server."),
    click.option(
        "--email-smtp-port",
        type=click.IntRange(1, 65535),
        default=587,
        show_default=True,
        metavar="PORT",
        help="Its port.",
    ),
    click.option(
        "--email-security",
        type=Words(["starttls", "ssl", "none"]),
        default="starttls",
        show_default=True,
        help="How the line to it is encrypted.",
    ),
    click.option("--email-from", metavar="ADDRESS", help="The sender."),
    click.option(
        "--email-to", multiple=True, metavar="ADDRESS,…", help="The recipients; may be repeated."
    ),
    click.option("--email-username", metavar="NAME", help="For the mail server."),
    click.option(
        "--email-password", metavar="REFERENCE", help="Where the password for it is: env:NAME."
    ),
    yes_no("email-on-start", help="When it begins."),
    yes_no("email-on-complete", default=True, help="When it is done.  [default: yes]"),
    yes_no("email-on-failure", default=True, help="When it failed.  [default: yes]"),
    click.option(
        "--webhook-url", metavar="URL", help="Post to it: a URL or a reference (env:NAME)."
    ),
    click.option(
        "--webhook-type",
        type=Words(["generic", "slack", "discord"]),
        default="generic",
        show_default=True,
        help="What the other end understands.",
    ),
    click.option(
        "--webhook-secret",
        metavar="REFERENCE",
        help="Where the secret is that generic ones are signed with.",
    ),
    yes_no("webhook-on-start", help="When it begins."),
    yes_no("webhook-on-complete", default=True, help="When it is done.  [default: yes]"),
    yes_no("webhook-on-error", default=True, help="When it failed.  [default: yes]"),
    click.option(
        "--audit-log",
        type=PATH,
        metavar="PATH",
        help="Append what was done to this file, a line of JSON each.",
    ),
)


@dataclass(frozen=True, slots=True)
class Moments:
    """When somebody is told."""

    start: bool = False
    complete: bool = True
    failure: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """A mail server and who is written to."""

    host: str
    port: int
    security: str
    sender: str
    to: tuple[str, ...]
    user: str
    #: Reference; empty: none.
    password: str
    moments: Moments


@dataclass(frozen=True, slots=True, kw_only=True)
class Webhook:
    """Something that takes posts."""

    #: URL or a reference to one.
    url: str
    kind: str
    #: Reference; empty: not signed.
    secret: str
    moments: Moments


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """All who are told."""

    urls: tuple[str, ...] = ()
    mail: Mail | None = None
    webhook: Webhook | None = None
    audit_log: Path | None = None


def telling(given: Given) -> Telling:
    """Raises InvalidInput, also for a secret that was typed."""
    for name in ("email_password", "webhook_secret"):
        if given[name]:
            SecretReference.parse(given[name])
    return Telling(
        urls=given["notify"],
        mail=_mail(given),
        webhook=_webhook(given),
        audit_log=given["audit_log"],
    )


def _mail(given: Given) -> Mail | None:
    listed = (address.strip() for one in given["email_to"] for address in one.split(","))
    to = tuple(filter(None, listed))
    if not given["email_notify"]:
        refuse(to, "--email-to goes with --email-notify", "Add --email-notify.")
        return None
    for option, value in (
        ("--email-smtp-host", given["email_smtp_host"]),
        ("--email-from", given["email_from"]),
        ("--email-to", to),
    ):
        refuse(not value, f"--email-notify needs {option}")
    refuse(
        bool(given["email_username"]) != bool(given["email_password"]),
        "--email-username and --email-password go together",
        "The password is named, not typed: --email-password env:NAME",
    )
    return Mail(
        host=given["email_smtp_host"],
        port=given["email_smtp_port"],
        security=given["email_security"],
        sender=given["email_from"],
        to=to,
        user=given["email_username"] or "",
        password=given["email_password"] or "",
        moments=Moments(
            given["email_on_start"], given["email_on_complete"], given["email_on_failure"]
        ),
    )


def _webhook(given: Given) -> Webhook | None:
    if not given["webhook_url"]:
        refuse(given["webhook_secret"], "--webhook-secret goes with --webhook-url")
        return None
    refuse(
        given["webhook_secret"] and given["webhook_type"] != "generic",
        f"{given['webhook_type']} takes no signatures",
        "Leave out --webhook-secret.",
    )
    return Webhook(
        url=given["webhook_url"],
        kind=given["webhook_type"],
        secret=given["webhook_secret"] or "",
        moments=Moments(
            given["webhook_on_start"], given["webhook_on_complete"], given["webhook_on_error"]
        ),
    )
