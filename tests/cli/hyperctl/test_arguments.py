"""Lines as users type them."""

from __future__ import annotations

import pytest

from hypersdk.cli.hyperctl.arguments import Target, spelled, targeted
from hypersdk.cli.hyperctl.main import hyperctl
from hypersdk.model.errors import InvalidInput


@pytest.mark.parametrize(
    "line",
    [
        "-daemon http://a:1 query -all",
        "query -daemon http://a:1 -all",
        "query -all --daemon=http://a:1",
    ],
)
def test_the_daemon_is_named_anywhere(line: str) -> None:
    assert targeted(line.split()) == (Target(daemon="http://a:1"), ["query", "-all"])


def test_everything_about_the_daemon() -> None:
    line = "-profile prod -token-from env:T -ca-file /ca.pem status"
    assert targeted(line.split()) == (
        Target(profile="prod", token_from="env:T", ca_file="/ca.pem"),
        ["status"],
    )


def test_a_value_is_missing() -> None:
    with pytest.raises(InvalidInput, match="-daemon needs a value"):
        targeted(["status", "-daemon"])


@pytest.mark.parametrize(
    ("line", "read"),
    [
        ("submit -vm /DC/vm/web -output /x", "submit --vm /DC/vm/web --output /x"),
        ("query -all=true", "query --all"),
        ("query -id a,b -status running", "query --id a,b --status running"),
        ("logs -f 01J", "logs -f 01J"),
        ("schedules create n c -vm web -H lab", "schedules create n c --vm web -H lab"),
        ("-json status", "-json status"),
    ],
)
def test_one_dash_will_do(line: str, read: str) -> None:
    assert spelled(line.split(), hyperctl) == read.split()
