"""Drivers are found by URL scheme; what is wrong with a URL is said without repeating secrets."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from hypersdk.drivers.ports import present
from hypersdk.drivers.registry import connect, schemes
from hypersdk.model.errors import InvalidInput, MissingRequirement

METADATA = """Metadata-Version: 2.1
Name: stranger-drivers
Version: 1
"""


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed distribution of somebody else with two drivers; one lacks its library."""
    info = tmp_path / "site" / "stranger_drivers-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(METADATA)
    (info / "entry_points.txt").write_text(
        "[hypersdk.drivers]\nstranger = stranger_driver:connect\nlacking = stranger_lacks:connect\n"
    )
    site = info.parent
    (site / "stranger_driver.py").write_text("def connect(url):\n    return url.upper()\n")
    (site / "stranger_lacks.py").write_text("import a_library_that_is_not_installed\n")
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()
    monkeypatch.delitem(sys.modules, "stranger_driver", raising=False)
    return site


def test_the_mock_driver_is_found_and_has_all_parts(tmp_path: Path) -> None:
    hypervisor = connect(f"mock://{tmp_path}")
    assert {"inventory", "lifecycle", "disks"} < set(present(hypervisor))
    assert hypervisor.url == f"mock://{tmp_path}"
    assert "mock" in schemes()


def test_an_unknown_scheme_names_the_nearest_and_all() -> None:
    with pytest.raises(InvalidInput) as caught:
        connect("mok:///srv/lab")
    assert "'mok'" in caught.value.message
    assert "Did you mean mock?" in caught.value.hint
    assert "Known schemes: " in caught.value.hint


def test_an_unrelated_scheme_gets_no_wrong_guess() -> None:
    with pytest.raises(InvalidInput) as caught:
        connect("zzzzzzzz://x")
    assert "Did you mean" not in caught.value.hint


@pytest.mark.parametrize("url", ["", "/srv/lab", "lab", "mock:/srv/lab", "mock", "mock://[x"])
def test_what_is_no_url_is_refused_with_an_example(url: str) -> None:
    with pytest.raises(InvalidInput, match="mock:///srv/lab"):
        connect(url)


@pytest.mark.parametrize(
    "url",
    [
        "mock://admin:hunter2@host/x",
        "mock://:hunter2@host/x",
        "mock:///x?password=hunter2",
        "mock:///x?a=1&Token=hunter2",
    ],
)
def test_a_secret_in_the_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        connect(url)
    assert "hunter2" not in str(caught.value)
    assert "USER@HOST" in caught.value.hint


def test_a_strangers_driver_is_found_also_by_the_first_part_of_the_scheme(stranger: Path) -> None:
    assert str(connect("stranger+tls://x")) == "STRANGER+TLS://X"


def test_a_missing_library_names_the_extra(stranger: Path) -> None:
    with pytest.raises(MissingRequirement) as caught:
        connect("lacking://x")
    assert "a_library_that_is_not_installed" in caught.value.message
    assert "pip install 'stranger-drivers[lacking]'" in caught.value.hint
