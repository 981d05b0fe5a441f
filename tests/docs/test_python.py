"""Every Python example in the documents is run, those of one document in one go."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import hypersdk

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
DOCUMENTS = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]


@pytest.mark.parametrize(
    "document",
    [path for path in DOCUMENTS if BLOCK.search(path.read_text())],
    ids=lambda path: path.name,
)
def test_the_examples_run(document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HYPERSDK_CACHE_DIR", str(tmp_path / "cache"))
    text = document.read_text()
    names: dict[str, object] = {"__name__": "example"}
    for block in BLOCK.finditer(text):
        # Blank lines in front, so that a failure shows the line of the document.
        code = "\n" * text[: block.start(1)].count("\n") + block[1]
        exec(compile(code, str(document), "exec"), names)


def test_the_api_document_has_examples() -> None:
    assert len(BLOCK.findall((ROOT / "docs" / "python.md").read_text())) >= 8


def test_every_public_function_is_shown_in_the_api_document() -> None:
    text = (ROOT / "docs" / "python.md").read_text()
    functions = [name for name in hypersdk.__all__ if name[0].islower()]
    assert [name for name in functions if name not in text] == []
