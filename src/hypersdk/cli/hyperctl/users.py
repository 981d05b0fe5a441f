"""``hyperctl users`` and ``hyperctl tenants``"""

from __future__ import annotations

import click

from hypersdk.cli.hyperctl.command import Group
from hypersdk.cli.hyperctl.records import listed, shown
from hypersdk.cli.hyperctl.session import Session, with_session
from hypersdk.config.secrets import resolve
from hypersdk.contract.accounts import NewTenant, NewUser, QuotaRecord, TenantChange, UserChange
from hypersdk.model.accounts import Role

_ROLE = click.Choice([role.value for role in Role])
_QUOTAS = (
    click.option("--jobs", type=click.IntRange(0), help="Jobs that run at once."),
    click.option("--instances", type=click.IntRange(0), help="Instances that it may have."),
    click.option("--bytes", type=click.IntRange(0), help="Bytes kept in repositories."),
)


@click.group(cls=Group)
def users() -> None:
    """Accounts of the daemon."""


@users.command("list")
@with_session
def list_(session: Session) -> None:
    """List them."""
    listed(
        session,
        "users",
        session.client.accounts.users(),
        {
            "Name": lambda each: each.name,
            "Role": lambda each: each.role,
            "Tenant": lambda each: each.tenant,
            "Enabled": lambda each: each.enabled,
            "Issuer": lambda each: each.issuer,
            "Last login": lambda each: each.last_login,
        },
    )


@users.command()
@click.argument("name")
@click.option("--role", type=_ROLE, default=Role.VIEWER.value, show_default=True)
@click.option("--tenant", default="", help="Sees only what is this tenant's.")
@click.option("--password-from", default="prompt:", show_default=True, help="env:NAME, file:PATH …")
@with_session
def add(session: Session, name: str, role: str, tenant: str, password_from: str) -> None:
    """Make an account."""
    given = {"name": name, "role": role, "tenant": tenant, "password": resolve(password_from)}
    shown(session, session.client.accounts.create_user(NewUser.model_validate(given)))


@users.command()
@click.argument("name")
@click.option("--role", type=_ROLE)
@click.option("--tenant", help='A tenant; "" for none.')
@click.option("--enable/--disable", "enabled", default=None)
@with_session
def change(
    session: Session, name: str, role: str | None, tenant: str | None, enabled: bool | None
) -> None:
    """Change an account."""
    wanted = {"role": role, "tenant": tenant, "enabled": enabled}
    given = {field: value for field, value in wanted.items() if value is not None}
    if not given:
        raise click.UsageError("say what to change: --role, --tenant, --enable or --disable")
    shown(session, session.client.accounts.change_user(name, UserChange.model_validate(given)))


@users.command()
@click.argument("name", required=False)
@click.option("--password-from", default="prompt:", show_default=True, help="The new one.")
@click.option("--old-from", default="prompt:Old password", help="Without NAME: your own.")
@with_session
def password(session: Session, name: str | None, password_from: str, old_from: str) -> None:
    """Set a password: your own, or that of NAME."""
    if name:
        session.client.accounts.set_password(name, resolve(password_from))
    else:
        session.client.accounts.set_own_password(resolve(old_from), resolve(password_from))
    session.terminal.line(f"password of {name or 'yourself'} changed")
    session.terminal.result({"changed": name or "yourself"})


@users.command()
@click.argument("name")
@with_session
def delete(session: Session, name: str) -> None:
    """Remove an account, and its tokens."""
    session.client.accounts.delete_user(name)
    session.terminal.line(f"{name} deleted")
    session.terminal.result({"deleted": name})


@click.group(cls=Group)
def tenants() -> None:
    """Who shares the daemon without seeing each other."""


@tenants.command("list")
@with_session
def list_tenants(session: Session) -> None:
    """List them, with what they use."""
    listed(
        session,
        "tenants",
        session.client.accounts.tenants(),
        {
            "Name": lambda each: each.name,
            "Quota": lambda each: each.quota,
            "Used": lambda each: each.used,
            "Description": lambda each: each.description,
        },
    )


@tenants.command("add")
@click.argument("name")
@click.option("--description", default="")
@_QUOTAS[0]
@_QUOTAS[1]
@_QUOTAS[2]
@with_session
def add_tenant(session: Session, /, name: str, description: str, **quota: int | None) -> None:
    """Make one. What no quota is given for is not bounded."""
    bound = QuotaRecord.model_validate(quota)
    new = NewTenant(name=name, description=description, quota=bound)
    shown(session, session.client.accounts.create_tenant(new))


@tenants.command("change")
@click.argument("name")
@_QUOTAS[0]
@_QUOTAS[1]
@_QUOTAS[2]
@with_session
def change_tenant(session: Session, /, name: str, **quota: int | None) -> None:
    """Set its quotas anew. What is not given is not bounded any more."""
    change = TenantChange(quota=QuotaRecord.model_validate(quota))
    shown(session, session.client.accounts.change_tenant(name, change))


@tenants.command("delete")
@click.argument("name")
@with_session
def delete_tenant(session: Session, name: str) -> None:
    """Remove one that nothing belongs to any more."""
    session.client.accounts.delete_tenant(name)
    session.terminal.line(f"{name} deleted")
    session.terminal.result({"deleted": name})
