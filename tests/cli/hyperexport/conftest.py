"""Running hyperexport in this process, on a mock hypervisor with real disk files."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from hypersdk import MockHypervisor
from hypersdk.cli.hyperexport.main import run
from hypersdk.cli.hyperexport.options.modes import Mode
from hypersdk.cli.terminal import Terminal
from tests.cli.conftest import Result, Stream, lab
from tests.docs.schemas import validator

__all__ = ["lab"]

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Export:
    """``export("web", "--json")`` → Result, on the lab unless another hypervisor is named.

    Documents are compared with their schemas.
    """

    url: str
    environment: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: object, expect: int = 0, typed: str = "") -> Result:
        words = [str(argument) for argument in arguments]
        if not {"-H", "--provider"} & set(words) and words[:1] != ["verify"]:
            words += ["-H", self.url]
        return self.plain(*words, expect=expect, typed=typed)

    def plain(self, *arguments: object, expect: int | None = 0, typed: str = "") -> Result:
        """Exactly this line."""
        words = [str(argument) for argument in arguments]
        out, err = Stream(), Stream()
        terminal = Terminal(Stream(typed), out, err, {**os.environ, **self.environment})
        status = run(words, terminal, lambda: NOW)
        result = Result(status, out.getvalue(), err.getvalue())
        assert expect in (None, status), result
        if "--json" in words:
            validator(f"{_schema(words)}.json").validate(result.json)
            assert ("error" in result.json) == (status != 0)
        return result


def _schema(words: list[str]) -> str:
    if words[0] in ("import", "verify"):
        return f"hyperexport-{words[0]}"
    if "--force-full" in words or "--incremental" in words:
        return "hyperexport-incremental"
    if "--cleanup" in words:
        return "hyperexport-cleanup"  # also with --dry-run
    names = [mode.value for mode in Mode if mode is not Mode.EXPORT]
    found = [name for name in names if f"--{name}" in words]
    if words[0] == "--save-profile":
        return "hyperexport-save-profile"
    return f"hyperexport-{found[0]}" if found else "hyperexport"


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the machine's own profiles and history, and a folder to work in."""
    for name in ("GOVC_URL", "GOVC_USERNAME", "GOVC_PASSWORD", "GOVC_DATACENTER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """The folder that the command runs in."""
    return tmp_path / "work"


@pytest.fixture
def export(lab: MockHypervisor) -> Export:
    return Export(lab.url)
