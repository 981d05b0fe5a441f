from __future__ import annotations

import subprocess
from typing import Any

import pytest

from hypersdk import MockHypervisor, Protect, connect, init_repository
from tests.cli.hypervisord.conftest import Hypervisord, Result


def lab(hypervisord: Hypervisord) -> str:
    """The URL of a mock hypervisor that is there."""
    hypervisor = connect(f"mock://{hypervisord.folder}/lab")
    assert isinstance(hypervisor, MockHypervisor)
    hypervisor.create_instance("web", {})
    return hypervisor.url


def found(result: Result) -> dict[str, Any]:
    return {each["name"]: each for each in result.json["findings"]}


def test_all_is_well(hypervisord: Hypervisord) -> None:
    folder = hypervisord.folder
    init_repository(folder / "repository", protect=Protect.none()).close()
    hypervisord.settings(
        f"hypervisors: {{lab: '{lab(hypervisord)}'}}\n"
        f"repositories: {{main: '{folder}/repository'}}\n"
    )
    result = hypervisord("doctor", "--json")
    assert result.json["healthy"]
    verdicts = {name: each["verdict"] for name, each in found(result).items()}
    assert set(verdicts.values()) <= {"works", "warning"}
    for name in ("database", "clock", "daemon", "access", "hypervisor lab", "repository main"):
        assert verdicts[name] == "works", found(result)[name]
    assert found(result)["repository main"]["found"] == "0 restore points"
    assert "hypervisor lab" in hypervisord("doctor").out


def test_what_is_broken_is_named_and_the_rest_is_looked_at_all_the_same(
    hypervisord: Hypervisord,
) -> None:
    folder = hypervisord.folder
    hypervisord.settings(
        f"hypervisors: {{lab: '{lab(hypervisord)}', gone: 'docker:///nowhere/docker.sock'}}\n"
        f"repositories: {{main: '{folder}/nothing', locked: {{location: /n, key: 'env:NO'}}}}\n"
        "listen: 0.0.0.0:8443\n"
    )
    result = hypervisord("doctor", "--json", expect=1)
    findings = found(result)
    assert not result.json["healthy"]
    broken = {name for name, each in findings.items() if each["verdict"] == "broken"}
    assert broken == {"access", "hypervisor gone", "repository main", "repository locked"}
    assert "has no TLS" in findings["access"]["found"]
    assert "openssl" in findings["access"]["hint"]
    assert findings["hypervisor lab"]["verdict"] == "works"


def test_a_certificate_that_ends_soon_is_a_warning(hypervisord: Hypervisord) -> None:
    folder = hypervisord.folder
    for days, verdict in (("400", "works"), ("10", "warning")):
        subprocess.run(
            [
                "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", days,
                "-keyout", str(folder / "k.pem"), "-out", str(folder / "c.pem"), "-subj", "/CN=x",
            ],
            check=True, capture_output=True,
        )  # fmt: skip
        hypervisord.settings(f"tls: {{certificate: {folder}/c.pem, key: {folder}/k.pem}}\n")
        finding = found(hypervisord("doctor", "--json"))["certificate"]
        assert finding["verdict"] == verdict
    (folder / "k.pem").write_text("nonsense")
    finding = found(hypervisord("doctor", "--json", expect=1))["certificate"]
    assert "no pair of certificate and key" in finding["found"]


def test_a_database_that_cannot_be_opened_ends_it(hypervisord: Hypervisord) -> None:
    (hypervisord.folder / "file").write_text("")
    words = ("--database", f"sqlite:///{hypervisord.folder}/file/d.db")
    findings = found(hypervisord("doctor", "--json", *words, expect=1))
    assert findings["database"]["verdict"] == "broken"
    assert "access" not in findings


def test_a_full_disk_is_broken(hypervisord: Hypervisord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hypersdk.app.doctor._FULL", 1 << 62)
    assert found(hypervisord("doctor", "--json", expect=1))["disk room"]["verdict"] == "broken"
