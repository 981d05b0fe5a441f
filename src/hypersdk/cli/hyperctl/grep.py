"""``hyperctl grep``"""

from __future__ import annotations

import re

import click

from hypersdk.cli.hyperctl.command import Command
from hypersdk.cli.hyperctl.session import Session, with_session
from hypersdk.contract.instances import InstanceRecord

_FIELDS = ("name", "path", "power", "image", "all")
#: Status when nothing fits, as of grep.
_NONE = 1


@click.command(cls=Command)
@click.argument("pattern")
@click.option("-E", "regex", is_flag=True, help="PATTERN is a regular expression, not just text.")
@click.option("-i", "ignore_case", is_flag=True, help="Upper and lower case are the same.")
@click.option("-v", "invert", is_flag=True, help="Those that do not fit.")
@click.option("-c", "count", is_flag=True, help="Only how many.")
@click.option("-l", "names", is_flag=True, help="Only their names.")
@click.option(
    "-f", "--field", type=click.Choice(_FIELDS), default="all", show_default=True,
    help="Where to look.",
)  # fmt: skip
@with_session
def grep(
    session: Session,
    pattern: str,
    regex: bool,
    ignore_case: bool,
    invert: bool,
    count: bool,
    names: bool,
    field: str,
) -> int:
    """Find instances of all hypervisors by a pattern.

    Ends with 1 when none is found.
    """
    try:
        wanted = re.compile(
            pattern if regex else re.escape(pattern), re.IGNORECASE if ignore_case else 0
        )
    except re.error as error:
        raise click.UsageError(f"'{pattern}' is no regular expression: {error}") from error
    found = [
        each
        for each in session.client.instances.list()
        if any(map(wanted.search, _texts(each, field))) is not invert
    ]
    terminal = session.terminal
    if count:
        terminal.line(str(len(found)))
    else:
        for each in found:
            terminal.line(each.name if names else " ".join(filter(None, _texts(each, "all"))))
    terminal.result({"instances": [each.model_dump(mode="json") for each in found]})
    return 0 if found else _NONE


def _texts(instance: InstanceRecord, field: str) -> list[str]:
    path = "/".join(each.strip("/") for each in (instance.hypervisor, instance.folder) if each)
    fields = {
        "name": instance.name,
        "path": f"{path}/{instance.name}",
        "power": instance.state,
        "image": instance.image,
    }
    if field != "all":
        return [fields[field]]
    return [fields["path"], fields["power"], fields["image"]]
