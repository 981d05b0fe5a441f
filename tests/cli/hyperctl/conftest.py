"""Running hyperctl in this process, against daemons that are real."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from hypersdk.cli.hyperctl.main import run
from hypersdk.cli.terminal import Terminal
from tests.api.serving import Daemon, serving
from tests.cli.conftest import Result, Stream
from tests.client.worked import Worked, working

#: Of the machine on which the tests run.
FOREIGN = ("HYPERVISORD_URL", "HYPERCTL_TOKEN")


@dataclass(frozen=True)
class Control:
    """``control("query", "-all")`` → Result."""

    url: str = ""

    def __call__(
        self, *arguments: object, expect: int = 0, typed: str = "", tty: bool = False
    ) -> Result:
        words = [str(argument) for argument in arguments]
        if self.url:
            words = ["-daemon", self.url, *words]
        out, err = Stream(), Stream(tty=tty)
        terminal = Terminal(Stream(typed), out, err, dict(os.environ))
        status = run(words, terminal)
        result = Result(status, out.getvalue(), err.getvalue())
        assert status == expect, result
        return result


@pytest.fixture(autouse=True)
def _own_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    """None is named but by the test."""
    for name in FOREIGN:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worked]:
    """Whose jobs run."""
    with working(tmp_path_factory.mktemp("worked")) as found:
        yield found


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """Whose jobs stay as they are."""
    with serving(tmp_path_factory.mktemp("daemon")) as found:
        yield found


@pytest.fixture
def work(worked: Worked) -> Control:
    """The command, with the daemon whose jobs run."""
    return Control(worked.url)


@pytest.fixture
def control(daemon: Daemon) -> Control:
    """The command, with the daemon whose jobs stay."""
    return Control(daemon.url)
