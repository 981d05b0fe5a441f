"""The part of docs/hyperctl.md that lists commands and options, made of the commands themselves::

python -m hypersdk.cli.hyperctl.manual docs/hyperctl.md
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from hypersdk.cli.hyperctl.main import PROGRAM, hyperctl

#: Everything behind this line is written by us.
MARK = "<!-- made by hypersdk.cli.hyperctl.manual -->\n"
_EVERYWHERE = {"json", "quiet", "debug", "help", "version"}


def manual() -> str:
    """Markdown: a section for each command, with a table of its options."""
    return "\n".join(_sections(hyperctl, PROGRAM))


def _sections(group: click.Group, path: str) -> Iterator[str]:
    for name, command in sorted(group.commands.items()):
        whole = f"{path} {name}"
        if isinstance(command, click.Group):
            yield f"\n## `{whole}`\n\n{_text(command)}"
            yield from _sections(command, whole)
        else:
            yield _section(command, whole)


def _section(command: click.Command, path: str) -> str:
    arguments = " ".join(
        parameter.make_metavar(click.Context(command))
        for parameter in command.params
        if isinstance(parameter, click.Argument)
    )
    level = "###" if path.count(" ") > 1 else "##"
    lines = [f"\n{level} `{path}{' ' if arguments else ''}{arguments}`\n", _text(command)]
    options = [
        option
        for option in command.params
        if isinstance(option, click.Option) and option.name not in _EVERYWHERE
    ]
    if options:
        lines += ["", "| option | meaning |", "|---|---|"]
        lines += [_row(command, option) for option in options]
    return "\n".join(lines)


def _row(command: click.Command, option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in option.opts)
    value = "" if option.is_flag else f" {option.make_metavar(click.Context(command))}"
    default = ""
    if option.show_default and option.default not in (None, "", False):
        default = f" (default: {option.default})"
    needed = " Required." if option.required else ""
    cells = (names + value, f"{option.help or ''}{default}{needed}".strip())
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _text(command: click.Command) -> str:
    """Its help; paragraphs that are command lines stay as they are."""
    paragraphs = inspect.cleandoc(command.help or "").replace("\b\n", "").split("\n\n")
    return "\n\n".join(
        f"```\n{each}\n```" if each.startswith((PROGRAM, "eval")) else each for each in paragraphs
    )


def main(path: str) -> None:
    file = Path(path)
    kept = file.read_text().partition(MARK)[0]
    file.write_text(kept + MARK + manual() + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
