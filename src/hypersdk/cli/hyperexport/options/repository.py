"""Incremental exports: into a repository instead of files."""

from __future__ import annotations

from dataclasses import dataclass

import click

from hypersdk.cli.hyperexport.options.values import Given, Option, refuse
from hypersdk.cli.keys import Unlock
from hypersdk.cli.parameters import PATH

OPTIONS: tuple[Option, ...] = (
    click.option(
        "--incremental",
        is_flag=True,
        help="Only what changed since the last time, into a repository.",
    ),
    click.option("--force-full", is_flag=True, help="The same, and everything is read again."),
    click.option(
        "--incremental-info", is_flag=True, help="Show what an incremental export would read."
    ),
    click.option("--repo", metavar="REPO", help="The repository.  [default: $HYPERSDK_REPOSITORY]"),
    click.option("--repo-passphrase", metavar="REFERENCE", help="Where its passphrase is."),
    click.option("--repo-key-file", type=PATH, metavar="FILE", help="Its key file."),
    click.option("--repo-identity", type=PATH, metavar="FILE", help="File with its identity."),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Increments:
    """What was said about it."""

    wanted: bool
    full: bool
    #: Empty: the one in the settings.
    repo: str
    unlock: Unlock


def increments(given: Given) -> Increments:
    """Raises InvalidInput."""
    wanted = given["incremental"] or given["force_full"]
    named = given["repo"] or given["repo_passphrase"] or given["repo_key_file"]
    refuse(
        (named or given["repo_identity"]) and not wanted and not given["incremental_info"],
        "a repository is used by incremental exports only",
        "Add --incremental.",
    )
    return Increments(
        wanted=wanted,
        full=given["force_full"],
        repo=given["repo"] or "",
        unlock=Unlock(given["repo_passphrase"], given["repo_key_file"], given["repo_identity"]),
    )
