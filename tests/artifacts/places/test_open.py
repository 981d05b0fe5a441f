"""A URL leads to its place, or to an error that says how it is written and repeats no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.artifacts.places.folder import FolderPlace
from hypersdk.artifacts.places.open import PLACES, open_place
from hypersdk.artifacts.places.retrying import RetryingPlace
from hypersdk.model.errors import InvalidInput, NotFound

FINGERPRINT = "SHA256:" + "A+/b" * 10 + "abc"


def test_folders(tmp_path: Path) -> None:
    place = open_place(f"file://{tmp_path}")
    assert isinstance(place, FolderPlace)
    assert place.root == tmp_path
    (tmp_path / "a b").mkdir()
    assert open_place(f"file://{tmp_path}/a%20b").url.endswith("a b")
    with pytest.raises(NotFound):
        open_place(f"file://{tmp_path}/none")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sftp://bob@host/srv/exports", "sftp://bob@host/srv/exports"),
        ("sftp://host:2222/srv", "sftp://host:2222/srv"),
        ("sftp://[::1]:2222/srv/", "sftp://[::1]:2222/srv"),
        ("sftp://host/~/exports", "sftp://host/~/exports"),
        (f"sftp://host/x?fingerprint={FINGERPRINT}", "sftp://host/x"),
        ("sftp://host/x?password-from=env:SFTP_PASSWORD&key=~/.ssh/id", "sftp://host/x"),
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
        ("s3://bucket", "s3://bucket"),
    ],
)
def test_what_is_shown_of_a_place(url: str, expected: str) -> None:
    place = open_place(url)
    assert isinstance(place, RetryingPlace)
    assert place.url == expected


@pytest.mark.parametrize(
    ("url", "meant"),
    [("s4://b", "s3:"), ("sfpt://host/x", "sftp:"), ("azur://c", "azure:"), ("gss://b", "gs:")],
)  # fmt: skip
def test_the_nearest_scheme_is_named(url: str, meant: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        open_place(url)
    assert f"Did you mean {meant}" in caught.value.hint
    assert all(each in caught.value.hint for each in PLACES.values())


@pytest.mark.parametrize(
    "url",
    [
        "sftp://bob:hunter2@host/x",
        "s3://AKIA:hunter2@bucket/x",
        "azure://bob:hunter2@container",
        "sftp://host/x?password=hunter2",
        "s3://bucket?secret=hunter2",
        "sftp://host/x?password-from=hunter2",
        "ftp://bob:hunter2@host/",
        "hunter2",
        "sftp://bob:hunter2@host:port/x",
    ],
)
def test_secrets_are_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        open_place(url)
    assert "hunter2" not in str(caught.value).replace("'hunter2:'", "")


@pytest.mark.parametrize(
    "url",
    ["", "/exports", "file://host/x", "file:x", "s3://", "s3:///x", "s3://b/../x", "sftp:///x",
     "sftp://host:99999/x", "sftp://host/x?fingerprint=abc", "sftp://host/x?port=3", "gs://",
     "s3://b?x=1", "sftp://host/x#y"],
)  # fmt: skip
def test_what_is_no_place(url: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        open_place(url)
    assert caught.value.hint or "cannot hold" in caught.value.message


def test_a_misspelt_option_is_helped() -> None:
    with pytest.raises(InvalidInput) as caught:
        open_place("sftp://host/x?finger=1")
    assert "Did you mean fingerprint?" in caught.value.hint
