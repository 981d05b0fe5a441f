"""What every command of the daemon shares: which settings it works with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hypersdk.cli.command import output_options
from hypersdk.cli.terminal import Terminal
from hypersdk.config.daemon import DaemonSettings, Examined
from hypersdk.config.daemon import examine_daemon_settings as examine
from hypersdk.config.daemon import load_daemon_settings as load
from hypersdk.observe.log import configure_logging

if TYPE_CHECKING:
    from hypersdk.app.people import People

F = TypeVar("F", bound=Callable[..., Any])
_KEY = "hypersdk.hypervisord"


@dataclass(slots=True)
class Chosen:
    """What was said on the command line, before or behind the name of a command."""

    config: str | None = None
    #: Name of a setting → value.
    given: dict[str, Any] = field(default_factory=dict)

    def load(self) -> DaemonSettings:
        """Raises InvalidInput."""
        return load(self.config, **self.given)

    def examine(self) -> Examined:
        """All that is wrong, at once."""
        return examine(self.config, **self.given)

    def arguments(self) -> list[str]:
        """The same again, for a process that we begin."""
        found = [] if self.config is None else ["--config", self.config]
        for name in ("database", "state_dir", "log_level"):
            if name in self.given:
                found += [f"--{name.replace('_', '-')}", str(self.given[name])]
        return found


def chosen(context: click.Context | None = None) -> Chosen:
    """Of the command that runs."""
    meta = (context or click.get_current_context()).meta
    found = meta.setdefault(_KEY, Chosen())
    assert isinstance(found, Chosen)
    return found


def opened() -> People:
    """Accounts and tokens in the daemon's database, for a ``with`` block."""
    from hypersdk.app.people import People  # noqa: PLC0415 - the database takes a while to load

    return People.open(chosen().load())


def _note(context: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value is None or parameter.name is None:
        return
    if parameter.name == "config":
        chosen(context).config = value
    else:
        chosen(context).given[parameter.name] = value


def setting_options(command: F) -> F:
    """``--config``, ``--database``, ``--state-dir``, ``--log-level``."""
    for option in reversed(
        (
            click.option(
                "--config", metavar="FILE", expose_value=False, callback=_note,
                help="Settings, in YAML or TOML by its ending.",
            ),
            click.option(
                "--database", metavar="URL", expose_value=False, callback=_note,
                help="sqlite:////PATH or postgresql://USER@HOST/NAME?password-from=REFERENCE.",
            ),
            click.option(
                "--state-dir", metavar="DIR", expose_value=False, callback=_note,
                help="Where the daemon keeps what is its own.",
            ),
            click.option(
                "--log-level", type=click.Choice(["debug", "info", "warning", "error"]),
                expose_value=False, callback=_note, help="What the log says at least.",
            ),
        )
    ):  # fmt: skip
        command = option(command)
    return command


def listen_options(command: F) -> F:
    """``--listen`` and ``--socket``."""
    socket = click.option(
        "--socket", metavar="PATH", expose_value=False, callback=_note,
        help="A unix socket to serve as well.",
    )  # fmt: skip
    listen = click.option(
        "--listen", "--addr", metavar="HOST:PORT", expose_value=False, callback=_note,
        help="Where to serve.  [default: localhost:8080]",
    )  # fmt: skip
    return listen(socket(command))


class Command(click.Command):
    """A command that prints a result. Its log has warnings only, on stderr."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.params += output_options()

    def invoke(self, ctx: click.Context) -> object:
        terminal = ctx.ensure_object(Terminal)
        configure_logging(
            "debug" if terminal.debug else "error" if terminal.quiet else "warning",
            stream=terminal.stderr,
        )
        return super().invoke(ctx)


class Group(click.Group):
    """A group of such commands."""

    command_class = Command


Group.group_class = Group
