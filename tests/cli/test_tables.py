from __future__ import annotations

import io

from rich.console import Console

from hypersdk.cli.tables import Column, Table, left, printable, right


def test_plain_text_is_aligned_without_drawing() -> None:
    table = Table((*left("NAME"), *right("SIZE"), *left("NOTE")))
    table.add("web", "1.0 MiB", "")
    table.add("database", "12.0 MiB", "pinned")
    assert table.plain().splitlines() == [
        "NAME          SIZE  NOTE",
        "web        1.0 MiB",
        "database  12.0 MiB  pinned",
    ]


def test_wide_characters_take_two_columns() -> None:
    table = Table(left("NAME", "X"), [("日本", "a"), ("abcd", "b")])
    assert table.plain().splitlines() == ["NAME  X", "日本  a", "abcd  b"]


def test_names_cannot_steer_the_terminal() -> None:
    table = Table(left("NAME"), [("web\x1b[2J\nrm",)])
    assert table.plain() == "NAME\nweb\\x1b[2J\\nrm"
    assert printable("ünïcode is fine") == "ünïcode is fine"
    assert printable("\udce9") == "\\udce9"


def drawn(table: Table, width: int) -> list[str]:
    file = io.StringIO()
    screen = Console(file=file, width=width, force_terminal=True, color_system=None)
    screen.print(table.drawn(width), soft_wrap=True)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_drawn_for_a_terminal() -> None:
    table = Table((*left("NAME", "EMPTY"), *right("SIZE"), Column("WHY", fold=True)))
    table.add("[web]", "", "1 KiB", "word " * 8)
    assert drawn(table, 34) == [
        "NAME    SIZE  WHY",
        "─" * 34,
        "[web]  1 KiB  word word word word",
        "              word word word word",
    ]


def test_what_does_not_fit_is_not_cut_off() -> None:
    table = Table(left("ID", "NAME"), [("x" * 26, "y" * 26)])
    assert "x" * 26 in "".join(drawn(table, 20))
    assert "y" * 26 in "".join(drawn(table, 20))
