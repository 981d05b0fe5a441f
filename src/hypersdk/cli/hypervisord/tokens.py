"""``hypervisord tokens …``: tokens for programs, made beside the API."""

from __future__ import annotations

import click

from hypersdk.cli.hypervisord.command import Group, opened, setting_options
from hypersdk.cli.tables import Table, left
from hypersdk.cli.terminal import Terminal
from hypersdk.cli.words import moment
from hypersdk.model.accounts import Role, Token
from hypersdk.model.units import parse_duration


@click.group("tokens", cls=Group)
def tokens() -> None:
    """Look after tokens, in the daemon's database."""


@tokens.command("create")
@click.argument("user")
@setting_options
@click.option("--name", default="console", show_default=True, help="What it is for.")
@click.option(
    "--role", type=click.Choice([role.value for role in Role]),
    help="What it may do.  [default: what its user may]",
)  # fmt: skip
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="PART",
    help="Only for this part of the API; may be repeated.",
)
@click.option("--expires", metavar="DURATION", help="When it ends: 90d, 12h.  [default: never]")
@click.pass_obj
def create(
    terminal: Terminal,
    user: str,
    name: str,
    role: str | None,
    scopes: tuple[str, ...],
    expires: str | None,
) -> None:
    """Make a token, and print it. It is shown this once."""
    lifetime = parse_duration(expires) if expires else None
    with opened() as people:
        token, secret = people.create_token(
            user, name=name, role=Role(role) if role else None, scopes=scopes, lifetime=lifetime
        )
    terminal.result({**_document(token), "token": secret})
    terminal.line(secret)
    terminal.note(f"token {token.id} of {token.user}; it is shown this once")


@tokens.command("list")
@setting_options
@click.pass_obj
def list_(terminal: Terminal) -> None:
    """Show all tokens, without their secrets."""
    with opened() as people:
        found = people.tokens()
    terminal.result({"tokens": [_document(token) for token in found]})
    table = Table(left("ID", "USER", "NAME", "KIND", "ROLE", "EXPIRES", "LAST USED"))
    for token in found:
        ends = moment(token.expires) if token.expires else "-"
        used = moment(token.last_used) if token.last_used else "-"
        table.add(token.id, token.user, token.name, token.kind, token.role.value, ends, used)
    terminal.table(table)


@tokens.command("revoke")
@click.argument("id")
@setting_options
@click.pass_obj
def revoke(terminal: Terminal, id: str) -> None:
    """End a token, within seconds."""
    with opened() as people:
        people.revoke_token(id)
    terminal.result({"id": id})
    terminal.line(f"token {id} was revoked")


def _document(token: Token) -> dict[str, object]:
    return {
        "id": token.id,
        "user": token.user,
        "name": token.name,
        "role": token.role.value,
        "kind": token.kind,
        "scopes": sorted(token.scopes),
        "created": moment(token.created),
        "expires": moment(token.expires) if token.expires else None,
        "last_used": moment(token.last_used) if token.last_used else None,
    }
