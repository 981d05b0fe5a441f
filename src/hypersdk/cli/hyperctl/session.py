"""One run of ``hyperctl``: its terminal, and the client of the daemon that is meant."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, wraps
from pathlib import Path
from typing import Concatenate, ParamSpec, TypeVar

import click

from hypersdk.cli.hyperctl.arguments import Target
from hypersdk.cli.terminal import Terminal
from hypersdk.client import Client
from hypersdk.client.connection import TOKEN_VARIABLE, URL_VARIABLE
from hypersdk.config.daemons import DaemonProfile, load_daemon_profiles


@dataclass
class Session:
    """Handed to every command by `in_session`."""

    terminal: Terminal
    target: Target

    @cached_property
    def profile(self) -> DaemonProfile | None:
        """The one that is named; or the default one, unless a URL is. Raises NotFound."""
        profiles = load_daemon_profiles()
        if self.target.profile:
            return profiles.get(self.target.profile)
        if self.target.daemon or os.environ.get(URL_VARIABLE):
            return None
        return profiles.chosen()

    @property
    def url(self) -> str:
        """Of the line, the environment, or the profile; empty: the local daemon."""
        of_profile = self.profile.url if self.profile else ""
        return self.target.daemon or os.environ.get(URL_VARIABLE, "") or of_profile

    @cached_property
    def client(self) -> Client:
        """Connected when it is first used. Raises InvalidInput."""
        profile = self.profile
        token = self.target.token_from
        if not token and profile and not os.environ.get(TOKEN_VARIABLE):
            token = profile.token
        ca_file = self.target.ca_file or (profile.ca_file if profile else "")
        return Client(self.url, token=token, ca_file=Path(ca_file) if ca_file else None)

    def close(self) -> None:
        if "client" in vars(self):
            self.client.close()


#: Key of the session in click's ``meta``, which sub-commands share.
_KEY = "hypersdk.hyperctl.session"
P = ParamSpec("P")
R = TypeVar("R")


def keep(context: click.Context, session: Session) -> None:
    """Have commands below find it."""
    context.meta[_KEY] = session


def with_session(command: Callable[Concatenate[Session, P], R]) -> Callable[P, R]:
    """Hand the session to a command as its first parameter."""

    @wraps(command)
    def wrapped(*args: P.args, **given: P.kwargs) -> R:
        session = click.get_current_context().meta[_KEY]
        assert isinstance(session, Session)
        return command(session, *args, **given)

    return wrapped
