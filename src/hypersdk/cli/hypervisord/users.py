"""``hypervisord users …``: accounts, made beside the API, as the first one must be."""

from __future__ import annotations

import click

from hypersdk.cli.hypervisord.command import Group, opened, setting_options
from hypersdk.cli.tables import Table, left
from hypersdk.cli.terminal import Terminal
from hypersdk.cli.words import moment
from hypersdk.config.secrets import resolve
from hypersdk.model.accounts import Role, User
from hypersdk.model.errors import InvalidInput

_ROLES = click.Choice([role.value for role in Role])
_PASSWORD = click.option(
    "--password-from", metavar="REFERENCE",
    help="Where the password is: env:NAME, file:PATH.  [default: asked for on the terminal]",
)  # fmt: skip


@click.group("users", cls=Group)
def users() -> None:
    """Look after accounts, in the daemon's database."""


@users.command("add")
@click.argument("name")
@setting_options
@click.option("--role", type=_ROLES, default="viewer", show_default=True, help="What it may do.")
@click.option("--tenant", default="", metavar="NAME", help="Sees only what is this tenant's.")
@_PASSWORD
@click.pass_obj
def add(terminal: Terminal, name: str, role: str, tenant: str, password_from: str | None) -> None:
    """Make an account. From the first one on, the API needs credentials."""
    with opened() as people:
        user = people.add_user(name, Role(role), tenant, _password(password_from))
    terminal.result(_document(user))
    terminal.line(f"user {user.name} ({user.role.value}) was made")


@users.command("password")
@click.argument("name")
@setting_options
@_PASSWORD
@click.pass_obj
def password(terminal: Terminal, name: str, password_from: str | None) -> None:
    """Set a new password, and end the sessions of the user."""
    with opened() as people:
        people.set_password(name, _password(password_from))
    terminal.result({"name": name})
    terminal.line(f"user {name} has a new password")


@users.command("list")
@setting_options
@click.pass_obj
def list_(terminal: Terminal) -> None:
    """Show all accounts."""
    with opened() as people:
        found = people.users()
    terminal.result({"users": [_document(user) for user in found]})
    table = Table(left("NAME", "ROLE", "TENANT", "ENABLED", "FROM", "LAST LOG-IN"))
    for user in found:
        last = moment(user.last_login) if user.last_login else "-"
        enabled = "yes" if user.enabled else "no"
        table.add(user.name, user.role.value, user.tenant or "-", enabled, user.issuer, last)
    terminal.table(table)


def _password(reference: str | None) -> str:
    if reference is not None:
        return resolve(reference)
    first = resolve("prompt:New password")
    if resolve("prompt:The same again") != first:
        raise InvalidInput("the two passwords are not the same", hint="Try again.")
    return first


def _document(user: User) -> dict[str, object]:
    return {
        "name": user.name,
        "role": user.role.value,
        "tenant": user.tenant,
        "enabled": user.enabled,
        "issuer": user.issuer,
        "created": moment(user.created),
        "last_login": moment(user.last_login) if user.last_login else None,
    }
