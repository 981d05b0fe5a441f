"""Files that commands of the kit share: results, histories, a folder for the mock."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from hypersdk.cli.terminal import Terminal
from hypersdk.conformance.reports.document import read_run
from hypersdk.conformance.reports.files import RESULTS
from hypersdk.conformance.results import Run

#: The history in a folder of reports.
HISTORY = "history.jsonl"


def results(path: Path) -> Run:
    """Of a file, or of a folder that ``--report`` has filled. Raises InvalidInput."""
    return read_run(path / RESULTS if path.is_dir() else path)


def history(path: Path) -> Path:
    """The file itself, or that of a folder."""
    return path / HISTORY if path.is_dir() else path


@contextmanager
def named_or_mock(terminal: Terminal, urls: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """``urls``, or the mock hypervisor in a folder that is gone afterwards.

    A name of the settings stands for its URL.
    """
    if urls:
        known = terminal.settings.hypervisors
        yield tuple(known.get(url, url) for url in urls)
        return
    terminal.note(
        "No --hypervisor was named: the mock hypervisor is tested, in a temporary folder."
    )
    with tempfile.TemporaryDirectory(prefix="hypersdk-conform-") as folder:
        yield (f"mock://{folder}",)
