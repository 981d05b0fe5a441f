from __future__ import annotations

import pytest

from hypersdk.api.known.documents import checked, parsed
from hypersdk.contract.known.jobs import JobDefinition
from hypersdk.model.errors import InvalidInput


@pytest.mark.parametrize(
    ("body", "header"),
    [
        (b'{"vm_path": "web"}', "application/json"),
        (b'{"vm_path": "web"}', ""),
        (b"vm_path: web", "application/x-yaml"),
        (b"vm_path: web", "text/yaml; charset=utf-8"),
        (b"vm_path: web", "text/plain"),
        (b"vm_path: web", ""),
    ],
)
def test_json_and_yaml_are_read(body: bytes, header: str) -> None:
    assert parsed((body, header)) == {"vm_path": "web"}


def test_moments_stay_text() -> None:
    assert parsed((b"at: 2026-01-02T03:04:05Z", "text/yaml")) == {"at": "2026-01-02T03:04:05Z"}


@pytest.mark.parametrize(
    ("body", "header"),
    [
        (b"vm_path: web", "application/json"),
        (b"{", ""),
        (b"\xff\xfe", ""),
        (b"a: &x [1]\nb: *x", "text/yaml"),
        (b"a: !!python/object/apply:os.system ['true']", "text/yaml"),
        (b"[" * 100_000, ""),
    ],
)
def test_what_cannot_be_read_is_refused(body: bytes, header: str) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        parsed((body, header))


def test_an_unknown_field_gets_the_nearest_name() -> None:
    with pytest.raises(InvalidInput, match=r"jobs\[1\]\.vm_pat: there is no such field") as caught:
        checked(JobDefinition, {"vm_pat": "web"}, "jobs[1]")
    assert caught.value.hint == "Did you mean vm_path?"


def test_a_nested_field_is_named() -> None:
    document = {"vm_path": "web", "options": {"paralel_downloads": 3}}
    with pytest.raises(InvalidInput, match=r"options\.paralel_downloads") as caught:
        checked(JobDefinition, document, "")
    assert caught.value.hint == "Did you mean parallel_downloads?"


def test_a_wrong_value_is_not_repeated() -> None:
    with pytest.raises(InvalidInput, match="insecure") as caught:
        checked(JobDefinition, {"vm_path": "web", "insecure": "s3cret"}, "")
    assert "s3cret" not in str(caught.value)
