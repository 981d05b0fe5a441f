"""The options of vmsnap, and what each command gets of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import Enum
from typing import Any, TypeVar

import click

from hypersdk import (
    Grouping,
    HyperSDKError,
    InvalidInput,
    Placement,
    ProvisionOptions,
    RestoreOptions,
    RetentionPolicy,
    ScrubType,
)
from hypersdk.cli.destinations import Destination, Files, NewInstance
from hypersdk.cli.keys import key_options
from hypersdk.cli.parameters import PATH, Words, unknown_word
from hypersdk.cli.vmsnap import backup, domains, places, restore, scrub, status, verify
from hypersdk.cli.vmsnap.domains import DEFAULT_URI, Selection, connected
from hypersdk.cli.vmsnap.exits import TooManyCommands, UnknownScrubType
from hypersdk.cli.vmsnap.output import Form, Style
from hypersdk.cli.vmsnap.places import Place

#: Values as click parsed them, by the names of parameters.
Given = Mapping[str, Any]
F = TypeVar("F", bound=Callable[..., object])

#: The folder by which a repository is known.
ENGINE = ".hypersdk"

_RULES = ("last", "daily", "weekly", "monthly", "yearly")


class Action(Enum):
    """What there is to do; one per run."""

    STATUS = "status"
    BACKUP = "backup"
    SCRUB = "scrub"
    RESTORE = "restore"
    VERIFY = "verify"


def _complete_domains(
    context: click.Context,
    parameter: click.Parameter,  # noqa: ARG001 - click's form
    incomplete: str,
) -> list[str]:
    """Names of domains, also behind the comma of a list."""
    before, comma, beginning = incomplete.rpartition(",")
    try:
        uri = context.params.get("connect") or DEFAULT_URI
        with connected(Selection(uri)) as hypervisor:
            assert hypervisor.inventory is not None
            names = [instance.name for instance in hypervisor.inventory.instances()]
    except HyperSDKError:
        return []  # there is nobody to tell while a line is being typed
    return [f"{before}{comma}{name}" for name in names if name.startswith(beginning)]


_COMMANDS = (
    click.option("--status", is_flag=True, help="Compare checkpoints and bitmaps.  [the default]"),
    click.option("--backup", is_flag=True, help="Back up domains."),
    click.option("--scrub", is_flag=True, help="Remove checkpoints and bitmaps."),
    click.option("--restore", metavar="DOMAIN[@TIME]", help="Bring back a restore point."),
    click.option(
        "--verify", is_flag=True, help="Check what is stored; with --backup, what was just stored."
    ),
)
_WHERE = (
    click.option(
        "--domains",
        multiple=True,
        metavar="NAME,…",
        shell_complete=_complete_domains,
        help="Names or globs (*, ?), by commas.  [default of --status and --verify: all]",
    ),
    click.option(
        "--connect",
        metavar="URI",
        default=DEFAULT_URI,
        show_default=True,
        help="Of libvirt, as virsh takes it.",
    ),
    click.option("--output", metavar="DIR", help="The folder for backups."),
    click.option(
        "--groupBy",
        "grouping",
        type=Words([each.value for each in Grouping]),
        help="A repository of its own for each month, quarter, bi-annual or year.",
    ),
)
_BACKUP = (
    click.option("--raw", is_flag=True, help="Raw disks too; they are read in full each time."),
    click.option(
        "--prune/--no-prune",
        help="Remove older periods once half of this one is over and its backup is verified.",
    ),
    *(
        click.option(
            f"--keep-{rule}",
            type=click.IntRange(min=0),
            default=0,
            metavar="N",
            help="Keep the newest N restore points."
            if rule == "last"
            else f"Keep the newest of each of N {'days' if rule == 'daily' else rule[:-2] + 's'}.",
        )
        for rule in _RULES
    ),
    click.option("--encrypt", is_flag=True, help="Encrypt new repositories."),
    click.option(
        "--parallel",
        type=click.IntRange(min=1),
        default=2,
        show_default=True,
        metavar="N",
        help="Domains at once.",
    ),
    click.option("--socketfile", metavar="PATH", help="The socket that disks are read through."),
    click.option(
        "--notify", metavar="URL", help="Tell how it ended: a URL of apprise, or env:NAME."
    ),
)
_OTHERS = (
    click.option(
        "--scrubType", "scrub_type", metavar="TYPE", help="checkpoint, bitmap, both or *."
    ),
    click.option(
        "--checkpointName", "checkpoint_name", metavar="NAME", help="Scrub only this one."
    ),
    click.option("--strict", is_flag=True, help="End with 5 when a domain is INCONSISTENT."),
    click.option("--to", type=PATH, metavar="DIR", help="The folder that --restore writes to."),
    click.option(
        "--define", is_flag=True, help="With --restore: define the domain, with its disks in --to."
    ),
    click.option("--as", "name", metavar="NAME", help="The same, under another name."),
    click.option("--start", is_flag=True, help="Start the domain that --restore has defined."),
    click.option(
        "--format",
        type=Words(["qcow2", "raw", "vmdk", "vhdx", "vdi"]),
        default="qcow2",
        show_default=True,
        help="Of the files that --restore writes.",
    ),
    click.option("--overwrite", is_flag=True, help="Let --restore replace files."),
    click.option(
        "--wait",
        type=click.FloatRange(min=0),
        default=0.0,
        metavar="SECONDS",
        help="For a domain that another vmsnap works on.",
    ),
)
_OUTPUT = (
    click.option("--json", is_flag=True, help="Print JSON."),
    click.option("--yaml", "--yml", "yaml", is_flag=True, help="Print YAML."),
    click.option("--machine", is_flag=True, help="Print it on one line, without a frame."),
    click.option("--pretty", is_flag=True, help="Sizes like 10.5 MB in --status."),
    click.option("--verbose", is_flag=True, help="The log in full, and where errors came from."),
    click.option("--quiet", is_flag=True, help="No progress and no notes on stderr."),
)


def all_options(function: F) -> F:
    """Adds every option, in the order of the help."""
    described: Any = key_options(function)
    for option in reversed((*_COMMANDS, *_WHERE, *_BACKUP, *_OTHERS, *_OUTPUT)):
        described = option(described)
    return described  # type: ignore[no-any-return]  # same but for the options


def action(given: Given) -> Action:
    """Raises TooManyCommands."""
    named = [each for each in Action if given[each.value]]
    if named == [Action.BACKUP, Action.VERIFY]:
        return Action.BACKUP
    if len(named) > 1:
        words = " and ".join(f"--{each.value}" for each in named)
        raise TooManyCommands(f"{words} exclude each other", hint="Give one command per run.")
    return named[0] if named else Action.STATUS


def style(given: Given) -> Style:
    """YAML goes before JSON, as it always did. Only a status has a frame."""
    form = Form.YAML if given["yaml"] else Form.JSON if given["json"] else Form.TEXT
    return Style(form, machine=given["machine"], framed=action(given) is Action.STATUS)


def status_options(given: Given) -> status.Options:
    place = _place(given) if given["output"] else None
    return status.Options(_selection(given), place, pretty=given["pretty"], strict=given["strict"])


def backup_options(given: Given) -> backup.Options:
    """Raises NoDomains, OutputRefused, InvalidInput."""
    domains.required(_selection(given))
    places.required(given["output"], "--backup")
    place = _place(given)
    if given["prune"] and place.grouping is None:
        place = replace(place, grouping=_implied(place))
    return backup.Options(
        selection=_selection(given),
        place=place,
        raw=given["raw"],
        prune=given["prune"],
        keep=RetentionPolicy(**{rule: given[f"keep_{rule}"] for rule in _RULES}),
        verify=given["verify"],
        parallel=given["parallel"],
        socket=given["socketfile"] or "",
        wait=given["wait"],
        notify=given["notify"],
    )


def scrub_options(given: Given) -> scrub.Options:
    """Raises NoDomains, UnknownScrubType."""
    domains.required(_selection(given))
    known = [each.value for each in ScrubType]
    if given["scrub_type"] not in known:
        raise UnknownScrubType(
            "what is to be scrubbed was not said"
            if given["scrub_type"] is None
            else f"--scrubType: {unknown_word(given['scrub_type'], known)}",
            hint=f"Say --scrubType {', '.join(known[:-1])} or '*'.",
        )
    return scrub.Options(
        _selection(given),
        ScrubType(given["scrub_type"]),
        name=given["checkpoint_name"],
        wait=given["wait"],
    )


def restore_options(given: Given) -> restore.Options:
    """Raises OutputRefused, InvalidInput."""
    places.required(given["output"], "--restore")
    return restore.Options(given["restore"], given["to"], _place(given), _destination(given))


def _destination(given: Given) -> Destination:
    to, defining = given["to"], given["define"] or given["name"]
    if defining:
        placement = Placement(
            name=given["name"] or "", folder=str(to or ""), overwrite=given["overwrite"]
        )
        settings = ProvisionOptions(placement=placement, start=given["start"])
        return NewInstance(f"libvirt+{given['connect']}", settings)
    if to is None or given["start"]:
        raise InvalidInput(
            "--start goes with --define" if given["start"] else "where to restore was not said",
            hint="Name a folder for files: --to DIR. As a domain: --define, or --as NAME.",
        )
    return Files(to, None, RestoreOptions(format=given["format"], overwrite=given["overwrite"]))


def verify_options(given: Given) -> verify.Options:
    """Raises OutputRefused."""
    places.required(given["output"], "--verify")
    return verify.Options(_place(given), tuple(given["domains"]))


def _selection(given: Given) -> Selection:
    return Selection(given["connect"], tuple(given["domains"]))


def _place(given: Given) -> Place:
    grouping = Grouping(given["grouping"]) if given["grouping"] else None
    return Place(given["output"], grouping, encrypt=given["encrypt"], unlock=given["unlock"])


def _implied(place: Place) -> Grouping:
    """Months, as always. Who has one repository for all times did not mean to leave it."""
    if ENGINE in place.folders():
        raise InvalidInput(
            f"{place.output} is one repository without periods, so none can be pruned",
            hint="Remove old restore points with --keep-daily and the like; or begin periods "
            "with --groupBy.",
        )
    return Grouping.MONTH
