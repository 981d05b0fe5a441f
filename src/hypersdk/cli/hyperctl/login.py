"""``hyperctl login``, ``logout`` and ``profile``: daemons by name, and tokens in the keyring."""

from __future__ import annotations

import getpass
from pathlib import Path

import click

from hypersdk.cli.hyperctl.command import Command, Group
from hypersdk.cli.hyperctl.session import Session, with_session
from hypersdk.cli.tables import Table, left
from hypersdk.client.connection import DEFAULT_URL
from hypersdk.config.daemons import (
    DaemonProfile,
    load_daemon_profiles,
    profiles_file,
    save_daemon_profiles,
)
from hypersdk.config.secrets import SecretReference, forget, keep, resolve

_SERVICE = "hyperctl"


@click.command(cls=Command)
@click.option("--user", default="", help="Default: your name on this machine.")
@click.option("--password-from", default="prompt:", show_default=True, help="env:NAME, file:PATH …")
@click.option("--as", "name", default="default", show_default=True, help="Name of the profile.")
@click.option("--default", "chosen", is_flag=True, help="Use it when no daemon is named.")
@with_session
def login(session: Session, user: str, password_from: str, name: str, chosen: bool) -> None:
    """Log in to a daemon, and keep a token for it.

    \b
    hyperctl -daemon https://backup:8443 login --as prod
    hyperctl -profile prod query

    The token goes into the keyring; without one, into a file that only you can read.
    """
    who = user or getpass.getuser()
    found = session.client.accounts.login(who, resolve(password_from))
    kept = keep(_SERVICE, name, found.token, folder=_folder())
    profile = DaemonProfile(
        name, session.url or DEFAULT_URL, session.target.ca_file, str(kept), found.username
    )
    save_daemon_profiles(load_daemon_profiles().having(profile, default=chosen))
    session.terminal.line(f"logged in as {found.username} at {profile.url}, kept as '{name}'")
    session.terminal.result({"profile": name, "url": profile.url, "user": found.username})


@click.command(cls=Command)
@with_session
def logout(session: Session) -> None:
    """End the session of the profile in use: its token does not count any more."""
    session.client.accounts.logout()
    session.terminal.line("logged out")
    session.terminal.result({"logged_out": True})


@click.group(cls=Group)
def profile() -> None:
    """Daemons that were logged in to."""


@profile.command("list")
@with_session
def list_(session: Session) -> None:
    """List them."""
    profiles = load_daemon_profiles()
    table = Table(left("Name", "URL", "User", "Default"))
    for each in profiles.known.values():
        table.add(each.name, each.url, each.user, "yes" if each.name == profiles.default else "")
    session.terminal.table(table)
    session.terminal.result(
        {
            "profiles": [
                {"name": each.name, "url": each.url, "user": each.user}
                for each in profiles.known.values()
            ],
            "default": profiles.default,
        }
    )


@profile.command()
@click.argument("name")
@with_session
def delete(session: Session, name: str) -> None:
    """Forget one, and its token.

    The token counts until it expires. To end it now: hyperctl logout
    """
    profiles = load_daemon_profiles()
    left = profiles.without(name)
    token = profiles.get(name).token
    if token == f"keyring:{_SERVICE}/{name}" or token.startswith("file:"):
        forget(SecretReference.parse(token), folder=_folder())
    save_daemon_profiles(left)
    session.terminal.line(f"{name} deleted")
    session.terminal.result({"deleted": name})


def _folder() -> Path:
    """Of tokens, where there is no keyring."""
    return profiles_file().parent / "tokens"
