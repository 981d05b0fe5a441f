"""How durations, counts and names of strangers read in reports."""

from __future__ import annotations


def span(seconds: float) -> str:
    """``0.42 ms``, ``38 ms``, ``1.24 s``, ``75 s``, ``15 min``."""
    milliseconds = seconds * 1000
    if milliseconds < 9.95:
        return f"{milliseconds:.2f} ms"
    if milliseconds < 999.5:
        return f"{milliseconds:.0f} ms"
    if seconds < 9.995:
        return f"{seconds:.2f} s"
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min"


def spans(low: float, high: float) -> str:
    """``100 to 500 ms``, ``0.5 to 2 s``: a range in the unit of its end."""
    if high < 1:
        return f"{low * 1000:g} to {high * 1000:g} ms"
    return f"{low:g} to {high:g} s"


def count(number: int, noun: str) -> str:
    """``1 case``, ``2 cases``."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def printable(text: str, keep: str = "") -> str:
    r"""Control characters and lone surrogates as ``\x1b``, but for those in ``keep``.

    Names, reasons and stacks come from strangers, and end up on terminals and in files.
    """
    if text.isprintable():
        return text
    return "".join(
        c
        if c.isprintable() or c in keep
        else c.encode("unicode_escape", "backslashreplace").decode()
        for c in text
    )
