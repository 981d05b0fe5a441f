from __future__ import annotations

from hypersdk.cli.tables import Table, left
from hypersdk.cli.terminal import Terminal
from tests.cli.conftest import Stream


def terminal(*, json: bool = False, quiet: bool = False, tty: bool = False) -> Terminal:
    return Terminal(Stream(tty=tty), Stream(tty=tty), Stream(tty=tty), {}, json=json, quiet=quiet)


def text(stream: object) -> str:
    assert isinstance(stream, Stream)
    return stream.getvalue()


def speak(screen: Terminal) -> None:
    screen.result({"answer": 42})
    screen.line("the answer is 42", style="bold")
    screen.table(Table(left("ANSWER"), [("42",)]))
    screen.note("by the way")
    screen.complain("but")
    screen.finish()


def test_a_person_gets_lines_and_tables() -> None:
    screen = terminal()
    speak(screen)
    assert text(screen.stdout) == "the answer is 42\nANSWER\n42\n"
    assert text(screen.stderr) == "by the way\nbut\n"


def test_a_program_gets_one_document() -> None:
    screen = terminal(json=True)
    speak(screen)
    assert text(screen.stdout) == '{\n  "answer": 42\n}\n'


def test_quiet_leaves_results_and_errors() -> None:
    screen = terminal(quiet=True)
    speak(screen)
    assert text(screen.stdout) == "the answer is 42\nANSWER\n42\n"
    assert text(screen.stderr) == "but\n"


def test_long_lines_are_not_broken_for_a_pipe() -> None:
    screen = terminal()
    screen.line("x" * 500)
    screen.table(Table(left("A"), [("y" * 500,)]))
    assert text(screen.stdout).splitlines() == ["x" * 500, "A", "y" * 500]


def test_markup_in_names_is_text() -> None:
    screen = terminal(tty=True)
    screen.line("[red]web[/red] :smile: \x1b[2J")
    assert "[red]web[/red] :smile: \\x1b[2J" in text(screen.stdout)


def test_interactive_takes_two_ends() -> None:
    assert terminal(tty=True).interactive
    assert not terminal().interactive
