"""``--completion``: a script for the shell, made of the options that there are."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

import click

from hypersdk.cli.hyperexport.exits import PROGRAM
from hypersdk.cli.terminal import Terminal


def run(terminal: Terminal, shell: str, command: click.Command, words: Sequence[str]) -> None:
    """Print the script. ``words``: what may stand first besides options."""
    script = {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](command, words)
    terminal.stdout.write(script)


def _options(command: click.Command) -> Iterator[click.Option]:
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            yield parameter


def _spellings(option: click.Option) -> list[str]:
    return [*option.opts, *option.secondary_opts]


def _values(option: click.Option) -> list[str] | None:
    """Words to choose from; None: not that kind."""
    if isinstance(option.type, click.Choice):
        return [str(choice) for choice in option.type.choices]
    return None


def _is_path(option: click.Option) -> bool:
    return isinstance(option.type, click.Path)


def _takes_value(option: click.Option) -> bool:
    return not option.is_flag and not option.count and option.name != "help"


def _bash(command: click.Command, words: Sequence[str]) -> str:
    cases = []
    for option in _options(command):
        if not _takes_value(option):
            continue
        names = "|".join(_spellings(option))
        values = _values(option)
        if values is not None:
            offer = f'COMPREPLY=($(compgen -W {shlex.quote(" ".join(values))} -- "$word"))'
        elif _is_path(option):
            offer = 'COMPREPLY=($(compgen -f -- "$word"))'
        else:
            offer = "COMPREPLY=()"
        cases.append(f"        {names}) {offer}; return ;;")
    every = " ".join(name for option in _options(command) for name in _spellings(option))
    return "\n".join(
        [
            f"# Completion of {PROGRAM} for bash: source this file.",
            f"_{PROGRAM}() {{",
            '    local word="${COMP_WORDS[COMP_CWORD]}" before="${COMP_WORDS[COMP_CWORD-1]}"',
            '    case "$before" in',
            *cases,
            "    esac",
            '    if [[ "$word" == -* ]]; then',
            f'        COMPREPLY=($(compgen -W {shlex.quote(every)} -- "$word"))',
            '    elif [[ "$COMP_CWORD" -eq 1 ]]; then',
            f'        COMPREPLY=($(compgen -W {shlex.quote(" ".join(words))} -- "$word"))',
            "    fi",
            "}",
            f"complete -o filenames -o bashdefault -F _{PROGRAM} {PROGRAM}",
            "",
        ]
    )


def _zsh(command: click.Command, words: Sequence[str]) -> str:
    lines = []
    for option in _options(command):
        help = _zsh_text(option.help or "")
        for name in _spellings(option):
            value = ""
            if _takes_value(option):
                values = _values(option)
                action = (
                    f"({' '.join(values)})" if values else "_files" if _is_path(option) else " "
                )
                value = f":{_zsh_text(option.metavar or 'value')}:{action}"
            many = "*" if option.multiple else ""
            lines.append(f"    {shlex.quote(f'{many}{name}[{help}]{value}')} \\")
    return "\n".join(
        [
            f"#compdef {PROGRAM}",
            f"# Completion of {PROGRAM} for zsh: put it into a folder of $fpath as _{PROGRAM}.",
            "_arguments \\",
            *lines,
            f"    '1:instance or command:({' '.join(words)})' \\",
            "    '*:file:_files'",
            "",
        ]
    )


def _zsh_text(text: str) -> str:
    for character in "\\[]:":
        text = text.replace(character, f"\\{character}")
    return text


def _fish(command: click.Command, words: Sequence[str]) -> str:
    lines = [f"# Completion of {PROGRAM} for fish: put it into ~/.config/fish/completions."]
    first = " ".join(words)
    lines.append(f"complete -c {PROGRAM} -n __fish_use_subcommand -a {_fish_text(first)}")
    for option in _options(command):
        for name in _spellings(option):
            flag = f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}"
            value = ""
            if _takes_value(option):
                values = _values(option)
                value = f" -x -a {_fish_text(' '.join(values))}" if values else " -r"
            lines.append(f"complete -c {PROGRAM} {flag}{value} -d {_fish_text(option.help or '')}")
    return "\n".join([*lines, ""])


def _fish_text(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
