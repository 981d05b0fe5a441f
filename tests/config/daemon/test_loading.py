from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.config.daemon import examine_daemon_settings, load_daemon_settings
from hypersdk.config.daemon.known import ORIGINAL
from hypersdk.config.daemon.loading import Problem
from hypersdk.model.errors import InvalidInput
from tests.config.daemon.conftest import Write


def problem(path: Path, **environment: str) -> Problem:
    """The one that there is."""
    (found,) = examine_daemon_settings(path, environment=environment).problems
    return found


def test_defaults_without_a_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(home / "state"))
    settings = load_daemon_settings()
    assert settings.listen == "localhost:8080"
    assert settings.loopback
    assert settings.database == f"sqlite:///{home}/state/hypervisord.db"
    assert settings.folders.exports == home / "state/exports"
    assert settings.workers.enabled
    assert settings.workers.queues == ["default"]
    assert settings.hypervisors == {}


def test_flags_win_over_the_environment_and_that_over_the_file(
    write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("listen: localhost:1\ndrain_seconds: 1\nworkers: {slots: 1, queues: [a]}\n")
    assert load_daemon_settings(path).listen == "localhost:1"
    monkeypatch.setenv("HYPERVISORD_LISTEN", "localhost:2")
    monkeypatch.setenv("HYPERVISORD_WORKERS__SLOTS", "2")
    settings = load_daemon_settings(path, listen="localhost:3", database=None)
    assert settings.listen == "localhost:3"
    assert settings.workers.slots == 2
    assert settings.workers.queues == ["a"]
    assert settings.drain_seconds == 1


def test_toml_and_yaml_say_the_same(write: Write) -> None:
    yaml = write(
        """
listen: ":8443"
tls: {certificate: /etc/c.pem, key: /etc/k.pem}
hypervisors:
  lab: mock:///srv/lab
  vc: {url: "vsphere://u@vc/DC?password-from=env:VC", budget: {jobs: 4, bandwidth: 100MiB/s}}
repositories: {main: {location: s3://b/p, key: "env:KEY"}}
webhooks: [{name: chat, url: "https://example.org/x", events: ["job.*"]}]
"""
    )
    toml = write(
        """
listen = ":8443"
tls = {certificate = "/etc/c.pem", key = "/etc/k.pem"}
[hypervisors]
lab = "mock:///srv/lab"
[hypervisors.vc]
url = "vsphere://u@vc/DC?password-from=env:VC"
budget = {jobs = 4, bandwidth = "100MiB/s"}
[repositories.main]
location = "s3://b/p"
key = "env:KEY"
[[webhooks]]
name = "chat"
url = "https://example.org/x"
events = ["job.*"]
""",
        "settings.toml",
    )
    settings = load_daemon_settings(yaml)
    assert settings == load_daemon_settings(toml)
    assert settings.host == ""
    assert settings.port == 8443
    assert not settings.loopback
    assert settings.hypervisors["vc"].budget.bandwidth == 100 << 20
    assert settings.hypervisors["lab"].url == "mock:///srv/lab"


@pytest.mark.parametrize(
    ("text", "key", "line", "hint"),
    [
        ("log_level: info\nlisten_on: x\n", "listen_on", 2, "Did you mean listen?"),
        ("limits:\n  rate_per_tokn: 1\n", "limits.rate_per_tokn", 2, "mean rate_per_token?"),
        (
            "webhooks:\n- name: a\n  url: https://h\n  event: []\n",
            "webhooks[0].event",
            4,
            "Did you mean events?",
        ),
        ("hypervisors:\n  a: {uri: mock:///x, url: mock:///x}\n", "hypervisors.a.uri", 2, "url?"),
        ("workers: {budget: 1}\n", "workers.budget", 1, "There are enabled, queues, slots."),
    ],
)
def test_an_unknown_key_is_refused_with_its_line_and_the_nearest_name(
    write: Write, text: str, key: str, line: int, hint: str
) -> None:
    path = write(text)
    found = problem(path)
    assert found.key == key
    assert found.place == f"{path}, line {line}"
    assert found.message == "there is no such setting"
    assert hint in found.hint


def test_an_unknown_key_in_toml_has_its_line_too(write: Write) -> None:
    path = write('log_level = "info"\n\n[limits]\nrate = 1\n\n[[webhooks]]\nname="a"\n', "s.toml")
    lines = {each.key: each.place for each in examine_daemon_settings(path).problems}
    assert lines == {
        "limits.rate": f"{path}, line 4",
        "webhooks[0].url": f"{path}, line 6",
    }


def test_all_problems_are_told_at_once_in_the_order_of_the_file(write: Write) -> None:
    path = write(
        """
listen: nowhere
drain_seconds: soon
limits: {connections: 1, body: 10 bananas}
hypervisors: {a: {url: "vsphere://u:geheim@h"}, "b c": "mock:///x"}
repositories: {r: {location: /srv, key: geheim2, key_file: /k}}
webhooks: [{name: a, url: "https://x"}, {name: a, url: "https://y"}]
"""
    )
    problems = examine_daemon_settings(path).problems
    assert [each.key for each in problems] == [
        "listen",
        "drain_seconds",
        "limits.body",
        "limits.connections",
        "hypervisors.a.url",
        "repositories.r.key",
        "webhooks",
    ]
    text = " ".join(f"{each} {each.hint}" for each in problems)
    assert "geheim" not in text
    with pytest.raises(InvalidInput, match=r"listen: write HOST:PORT") as refused:
        load_daemon_settings(path)
    assert "There are 6 more; see: hypervisord config check" in refused.value.hint


@pytest.mark.parametrize("key", ["vcenterurl", "vcenter_url", "VCenterURL", "daemonaddr", "aws"])
def test_keys_of_the_original_are_answered_with_what_they_are_called_here(
    write: Write, key: str
) -> None:
    found = problem(write(f"{key}: x\n"))
    assert found.hint == ORIGINAL[key.lower().replace("_", "")]


def test_variables_of_the_original_are_honoured(home: Path) -> None:
    variables = {
        "GOVC_URL": "https://vc.example/sdk",
        "DAEMON_ADDR": "localhost:9",
        "LOG_LEVEL": "debug",
        "HYPERSDK_ISO_DIR": str(home / "isos"),
    }
    examined = examine_daemon_settings(environment=variables)
    settings = examined.settings
    assert settings is not None
    assert settings.hypervisors["vsphere"].url == "vsphere://"
    assert (settings.listen, settings.log_level) == ("localhost:9", "debug")
    assert settings.folders.isos == home / "isos"
    assert examined.sources["hypervisors", "vsphere"] == "GOVC_URL"
    newer = examine_daemon_settings(environment={**variables, "HYPERVISORD_LISTEN": "localhost:7"})
    assert newer.settings is not None
    assert newer.settings.listen == "localhost:7"


def test_a_vsphere_of_the_file_is_not_replaced_by_govc_url(write: Write) -> None:
    path = write('hypervisors: {vsphere: "vsphere://u@h"}\n')
    settings = examine_daemon_settings(path, environment={"GOVC_URL": "https://x"}).settings
    assert settings is not None
    assert settings.hypervisors["vsphere"].url == "vsphere://u@h"


def test_a_wrong_value_of_a_variable_names_the_variable(write: Write) -> None:
    found = problem(write("{}"), HYPERVISORD_LIMITS__CONNECTIONS="few")
    assert found.place == "HYPERVISORD_LIMITS__CONNECTIONS"
    assert found.message == "a whole number is expected"


def test_a_misspelt_variable_is_refused_and_a_stranger_is_not(write: Write) -> None:
    found = problem(write("{}"), HYPERVISORD_LISTN="x")
    assert found.message == "unknown environment variable HYPERVISORD_LISTN"
    assert found.hint == "Did you mean HYPERVISORD_LISTEN?"
    others = {"HYPERVISORD_URL": "http://h", "HYPERVISORD_CHAT_SECRET": "x"}
    assert examine_daemon_settings(write("{}"), environment=others).problems == ()


def test_lists_and_mappings_in_variables() -> None:
    settings = examine_daemon_settings(
        environment={
            "HYPERVISORD_WORKERS__QUEUES": "a, b",
            "HYPERVISORD_HYPERVISORS": '{"lab": "mock:///x"}',
        }
    ).settings
    assert settings is not None
    assert settings.workers.queues == ["a", "b"]
    assert settings.hypervisors["lab"].url == "mock:///x"
    (wrong,) = examine_daemon_settings(environment={"HYPERVISORD_HYPERVISORS": "lab"}).problems
    assert "HYPERVISORD_HYPERVISORS is not JSON" in wrong.message


@pytest.mark.parametrize(
    ("listen", "host", "port", "loopback"),
    [
        ("localhost:8080", "localhost", 8080, True),
        ("127.0.0.2:1", "127.0.0.2", 1, True),
        ("[::1]:0", "::1", 0, True),
        ("[::]:8443", "::", 8443, False),
        (":8080", "", 8080, False),
        ("0.0.0.0:8080", "0.0.0.0", 8080, False),
    ],
)
def test_addresses(listen: str, host: str, port: int, loopback: bool) -> None:
    settings = load_daemon_settings(listen=listen)
    assert (settings.host, settings.port, settings.loopback) == (host, port, loopback)


def test_without_an_address_a_socket_is_needed(home: Path) -> None:
    with pytest.raises(InvalidInput, match="name a socket"):
        load_daemon_settings(listen="")
    settings = load_daemon_settings(listen="", socket=str(home / "s"))
    assert settings.loopback


def test_a_database_with_a_password_in_it_is_refused() -> None:
    with pytest.raises(InvalidInput, match="contains a password"):
        load_daemon_settings(database="postgresql://u:geheim@h/d")
    with pytest.raises(InvalidInput, match="sqlite:////absolute"):
        load_daemon_settings(database="mysql://h/d")
