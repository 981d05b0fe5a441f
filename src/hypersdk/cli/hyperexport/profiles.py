"""Profiles: options under a name. What is typed wins over what a profile says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import click
from click.core import ParameterSource

from hypersdk import NotFound
from hypersdk.cli import words
from hypersdk.cli.hyperexport.options.values import Given
from hypersdk.cli.tables import Column, Table, left
from hypersdk.cli.terminal import Terminal
from hypersdk.config import profiles as stored
from hypersdk.config.oldprofiles import old_profiles_folder, read_old_profile
from hypersdk.config.profiles import Profile
from hypersdk.model.units import MIB

#: Who names one of these has named the key; a profile's key is not meant then.
_KEYS = {"recipients", "passphrase", "keyfile"}
#: What a profile is not asked to keep: instances, what to do with them, and how to say it.
_OF_THE_RUN = {
    "names",
    "more_names",
    "hypervisors",
    "provider",
    "batch",
    "filters",
    "folder",
    "profile",
    "save_profile",
    "resume",
    "overwrite",
    "force",
    "dry_run",
    "validate_only",
    "interactive",
    "json",
    "quiet",
    "debug",
}


def applied(context: click.Context, typed: Given, terminal: Terminal) -> dict[str, Any]:
    """The options in force: typed ones, then those of ``--profile``, then defaults.

    Raises NotFound, InvalidInput.
    """
    given = dict(typed)
    if not given["profile"]:
        return given
    settings = _load(given["profile"], terminal).settings()
    if any(_typed(context, name) for name in _KEYS):
        settings = {name: value for name, value in settings.items() if name not in _KEYS}
    parameters = {each.name: each for each in context.command.params}
    for name, value in settings.items():
        if not _typed(context, name):
            given[name] = parameters[name].type_cast_value(context, value)
    return given


def _load(name: str, terminal: Terminal) -> Profile:
    try:
        return stored.load_profile(name)
    except NotFound:
        old = old_profiles_folder() / f"{name}.json"
        if "/" in name or not old.is_file():
            raise
    found = read_old_profile(old)
    for reason in found.left_out:
        terminal.note(f"{old}: left out: {reason}")
    return found.profile


def _typed(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) not in (None, ParameterSource.DEFAULT)


def save(terminal: Terminal, context: click.Context, given: Given, now: datetime) -> None:
    """``--save-profile``: what was typed, and what came from ``--profile``."""
    before = _load(given["profile"], terminal).settings() if given["profile"] else {}
    names = [
        name
        for name in Profile.model_fields
        if name in given and (_typed(context, name) or name in before)
    ]
    profile = stored.make_profile(
        given["save_profile"], {name: _text(name, given[name]) for name in names}
    )
    path = stored.save_profile(profile, now=now.replace(microsecond=0))
    for option in _not_kept(context):
        terminal.complain(f"warning: a profile does not keep {option}")
    terminal.result({"profile": _document(profile)})
    terminal.line(f"{profile.name}: saved in {path}")


def _not_kept(context: click.Context) -> Iterator[str]:
    for each in context.command.params:
        name = each.name or ""
        known = name in Profile.model_fields or name in _OF_THE_RUN
        if isinstance(each, click.Option) and _typed(context, name) and not known:
            yield each.opts[0]


def _text(name: str, value: Any) -> object:
    """As on the command line, where a profile keeps it so."""
    if isinstance(value, timedelta):
        return f"{value.total_seconds() / 3600:g}h"
    if name == "bandwidth_limit":
        return f"{value / MIB:g}" if value % MIB == 0 else f"{value}B/s"
    return value


def show(terminal: Terminal) -> None:
    """``--list-profiles``."""
    found = stored.list_profiles()
    terminal.result({"profiles": [_document(each) for each in found]})
    if terminal.quiet:
        for each in found:
            terminal.line(each.name)
        return
    table = Table((*left("PROFILE"), Column("WHAT", fold=True), Column("OPTIONS", fold=True)))
    for each in found:
        options = ", ".join(_said(name, value) for name, value in each.settings().items())
        table.add(each.name, each.description, options)
    terminal.table(table)


def _said(name: str, value: object) -> str:
    option = name.replace("_", "-")
    if value is True:
        return option
    return f"no-{option}" if value is False else f"{option}={_joined(value)}"


def _joined(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def delete(terminal: Terminal, name: str) -> None:
    """``--delete-profile``. Raises NotFound, Conflict for one that is built in."""
    stored.delete_profile(name)
    terminal.result({"deleted": name})
    terminal.line(f"{name}: deleted")


def create_defaults(terminal: Terminal) -> None:
    """``--create-default-profiles``; those that are there stay as they are."""
    made = stored.create_default_profiles()
    terminal.result({"created": [str(path) for path in made]})
    for path in made:
        terminal.line(f"{path.stem}: written to {path}")
    if not made:
        terminal.line("all of them are there already")


def _document(profile: Profile) -> dict[str, object]:
    settings = {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in profile.settings().items()
    }
    return {
        "name": profile.name,
        "description": profile.description,
        "created": words.moment(profile.created) if profile.created else None,
        "modified": words.moment(profile.modified) if profile.modified else None,
        "options": settings,
    }
