"""Which hypervisor, which instances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from hypersdk.cli.hyperexport.options.values import PAIR, Given, Option, refuse
from hypersdk.cli.parameters import PATH, Words

#: Where the provider of that name is when no URL is given.
PROVIDERS = {"vsphere": "vsphere://", "libvirt": "libvirt+qemu:///system"}

OPTIONS: tuple[Option, ...] = (
    click.argument("names", metavar="[INSTANCE]...", nargs=-1),
    click.option(
        "-H",
        "--hypervisor",
        "hypervisors",
        multiple=True,
        metavar="URL",
        help="Where the instances are, or its name in the settings; may be repeated for the "
        "screen.  [default: vsphere:// with GOVC_URL, GOVC_USERNAME, GOVC_PASSWORD]",
    ),
    click.option(
        "--provider",
        type=Words(list(PROVIDERS)),
        default="vsphere",
        show_default=True,
        help="The kind of hypervisor when no URL is given.",
    ),
    click.option("--vm", "more_names", multiple=True, metavar="NAME", help="An instance."),
    click.option(
        "--batch",
        type=PATH,
        metavar="FILE",
        help="Export the instances in a file: one per line, # begins a comment.",
    ),
    click.option(
        "--filter",
        "filters",
        type=PAIR,
        multiple=True,
        help="Only instances with this tag or advanced setting; may be repeated, all must fit.",
    ),
    click.option(
        "--folder",
        metavar="TEXT",
        help="Only instances with this text in their path in the inventory.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What was said about it."""

    #: URL or name in the settings; empty: of the provider.
    hypervisor: str
    provider: str
    names: tuple[str, ...]
    batch: Path | None
    filters: Mapping[str, str]
    folder: str
    #: Further ones, which only the screen lists.
    others: tuple[str, ...] = ()

    @property
    def named(self) -> bool:
        """Something says which instances are meant."""
        return bool(self.names or self.batch or self.filters or self.folder)

    @property
    def several(self) -> bool:
        """What is meant may be more than one, so each gets a folder of its own."""
        return bool(len(self.names) > 1 or self.batch or self.filters or self.folder)


def source(given: Given) -> Source:
    """Raises InvalidInput."""
    hypervisors = tuple(dict.fromkeys(given["hypervisors"]))
    names = tuple(dict.fromkeys((*given["names"], *given["more_names"])))
    refuse(
        any(not name.strip() for name in names),
        "an instance without a name was given",
        "Name it: hyperexport web",
    )
    return Source(
        hypervisor=hypervisors[0] if hypervisors else "",
        provider=given["provider"],
        names=names,
        batch=given["batch"],
        filters=dict(given["filters"]),
        folder=given["folder"] or "",
        others=hypervisors[1:],
    )
