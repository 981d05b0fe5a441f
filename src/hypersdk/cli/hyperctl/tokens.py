"""``hyperctl tokens``"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import click

from hypersdk.cli.hyperctl.command import Group
from hypersdk.cli.hyperctl.records import listed, shown
from hypersdk.cli.hyperctl.session import Session, with_session
from hypersdk.contract.accounts import NewToken
from hypersdk.model.accounts import Role


@click.group(cls=Group)
def tokens() -> None:
    """What programs log in with."""


@tokens.command("list")
@with_session
def list_(session: Session) -> None:
    """List yours; as an administrator, all."""
    listed(
        session,
        "tokens",
        session.client.accounts.tokens(),
        {
            "ID": lambda each: each.id,
            "User": lambda each: each.user,
            "Name": lambda each: each.name,
            "Role": lambda each: each.role,
            "Kind": lambda each: each.kind,
            "Scopes": lambda each: each.scopes or "all",
            "Expires": lambda each: each.expires,
            "Last used": lambda each: each.last_used,
        },
    )


@tokens.command()
@click.argument("name")
@click.option("--role", type=click.Choice([role.value for role in Role]), help="Yours or less.")
@click.option("--scope", "scopes", multiple=True, help="Part of the API: jobs, instances …")
@click.option("--days", type=click.IntRange(1), help="Until it expires; else never.")
@click.option("--user", help="For somebody else, as an administrator.")
@with_session
def create(
    session: Session,
    name: str,
    role: str | None,
    scopes: tuple[str, ...],
    days: int | None,
    user: str | None,
) -> None:
    """Make one. Its secret is shown once, here."""
    wanted = {
        "name": name,
        "role": role,
        "scopes": list(scopes),
        "expires": datetime.now(UTC) + timedelta(days=days) if days else None,
        "user": user,
    }
    new = NewToken.model_validate({key: value for key, value in wanted.items() if value})
    shown(session, session.client.accounts.create_token(new))


@tokens.command()
@click.argument("id")
@with_session
def revoke(session: Session, id: str) -> None:
    """Have one not count any more."""
    session.client.accounts.revoke_token(id)
    session.terminal.line(f"{id} revoked")
    session.terminal.result({"revoked": id})
