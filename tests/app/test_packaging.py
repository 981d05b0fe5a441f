"""What is shipped beside the daemon: units, settings to begin with, the dashboard."""

from __future__ import annotations

import configparser
import json
import re
import subprocess
from pathlib import Path

import pytest

from hypersdk.config.daemon import examine_daemon_settings
from hypersdk.estate.checks import GROUPS
from hypersdk.estate.deliveries import WAITS
from tests.components import require

ROOT = Path(__file__).parents[2]
SYSTEMD = ROOT / "packaging" / "systemd"
UNITS = ("hypervisord.service", "hypervisord-worker@.service")


def unit(name: str) -> configparser.SectionProxy:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # as its documentation says
    parser.read(SYSTEMD / name)
    return parser["Service"]


@pytest.mark.parametrize("name", UNITS)
def test_systemd_takes_the_units_and_finds_them_tight(name: str, tmp_path: Path) -> None:
    require("systemd-analyze")
    path = tmp_path / name.replace("@.", "@site-a.")
    path.write_text((SYSTEMD / name).read_text().replace("/usr/bin/hypervisord", "/bin/true"))
    done = subprocess.run(
        ["systemd-analyze", "verify", path], capture_output=True, text=True, check=False
    )
    assert "hypervisord" not in done.stderr
    assert done.returncode == 0, done.stderr
    subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=45", path],
        check=True,
        capture_output=True,
    )


@pytest.mark.parametrize("name", UNITS)
def test_units_notify_are_watched_and_do_not_loop_over_wrong_settings(name: str) -> None:
    service = unit(name)
    assert service["Type"] == "notify"
    assert int(service["WatchdogSec"]) > 0
    assert service["RestartPreventExitStatus"] == "2"
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"


def test_the_settings_to_begin_with_are_right_with_and_without_what_is_commented_out(
    tmp_path: Path,
) -> None:
    text = (ROOT / "packaging" / "hypervisord.yaml").read_text()
    whole = re.sub(r"^# ?(?=[a-z]+:|  )", "", text, flags=re.MULTILINE).replace(
        "listen: localhost:8080\n", "", 1
    )
    for number, each in enumerate((text, whole)):
        path = tmp_path / f"{number}.yaml"
        path.write_text(each)
        examined = examine_daemon_settings(path, environment={})
        assert examined.problems == ()
    assert examined.settings is not None
    assert set(examined.settings.hypervisors) == {"local", "vcenter"}
    assert len(examined.settings.webhooks) == 1


def metric_names() -> set[str]:
    """That panels of the dashboard ask for."""
    dashboard = json.loads((ROOT / "packaging" / "grafana" / "hypersdk.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return set(re.findall(r"\b((?:hypersdk|process)_\w+)", " ".join(expressions)))


def test_the_dashboard_is_one() -> None:
    dashboard = json.loads((ROOT / "packaging" / "grafana" / "hypersdk.json").read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(ids) == len(set(ids))
    places = [tuple(panel["gridPos"].values()) for panel in dashboard["panels"]]
    assert len(places) == len(set(places))
    assert {each["name"] for each in dashboard["templating"]["list"]} == {
        "datasource", "job", "instance",
    }  # fmt: skip
    assert "hypersdk_jobs" in metric_names()


def test_the_page_on_webhooks_says_what_there_is() -> None:
    text = (ROOT / "docs" / "webhooks.md").read_text()
    assert set(re.findall(r"^\| `(\w+)\.\*` \|", text, re.MULTILINE)) == set(GROUPS)
    assert f"{len(WAITS) + 1} attempts within a day" in text
    assert 22 <= sum(WAITS) / 3600 <= 24
