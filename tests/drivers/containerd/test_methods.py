"""Every call that the driver names is one of containerd's API."""

from __future__ import annotations

import re
from pathlib import Path

import grpc
import pytest

from hypersdk.drivers.containerd import methods
from hypersdk.drivers.containerd.methods import method_of

SOURCES = Path(methods.__file__).parent
NAMED = sorted(
    {
        found
        for source in SOURCES.glob("*.py")
        for found in re.findall(r'"((?!grpc\.)[a-z]+\.[A-Z]\w+)"', source.read_text())
    }
)


@pytest.mark.parametrize("name", NAMED)
def test_what_is_named_is_there(name: str) -> None:
    with grpc.insecure_channel("unix:///nowhere") as channel:
        assert callable(method_of(channel, name))


def test_streams_are_streams() -> None:
    with grpc.insecure_channel("unix:///nowhere") as channel:
        assert isinstance(method_of(channel, "tasks.List"), grpc.UnaryUnaryMultiCallable)
        assert isinstance(method_of(channel, "content.Read"), grpc.UnaryStreamMultiCallable)
        assert isinstance(method_of(channel, "content.Write"), grpc.StreamStreamMultiCallable)


def test_what_is_not_there_is_no_method() -> None:
    assert len(NAMED) > 30
    with grpc.insecure_channel("unix:///nowhere") as channel, pytest.raises(KeyError):
        method_of(channel, "tasks.Freeze")
