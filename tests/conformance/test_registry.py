"""Targets are found by URL scheme."""

from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.conformance.registry import check_url, load_target, scheme, schemes
from hypersdk.conformance.target import Site
from hypersdk.model.errors import InvalidInput


def test_the_mock_is_found(tmp_path: Path) -> None:
    target = load_target(f"mock://{tmp_path}", Site())
    hypervisor = target.connect()
    assert hypervisor.inventory is not None
    hypervisor.close()
    target.close()


def test_all_of_ours_are_announced() -> None:
    assert set(schemes()) >= {"containerd", "docker", "libvirt", "mock", "qmp"}


def test_the_scheme_of_a_url() -> None:
    assert scheme("libvirt+qemu:///system") == "libvirt"
    assert scheme("mock://lab") == "mock"
    for wrong in ("lab", "", "://x", "mock:/x"):
        with pytest.raises(InvalidInput, match="not a hypervisor URL"):
            scheme(wrong)


def test_secrets_are_refused_and_not_repeated() -> None:
    with pytest.raises(InvalidInput, match="password") as caught:
        check_url("docker://user:hunter2@host")
    assert "hunter2" not in str(caught.value)


def test_an_unknown_scheme_names_the_nearest() -> None:
    with pytest.raises(InvalidInput, match="no target for the scheme 'dokcer'") as caught:
        check_url("dokcer:///var/run/docker.sock")
    assert caught.value.hint.startswith("Did you mean docker?")
