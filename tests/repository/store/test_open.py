from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hypersdk.model.errors import InvalidInput, StoreError, StoreUnavailable
from hypersdk.repository.store.local import LocalStore
from hypersdk.repository.store.memory import MemoryStore
from hypersdk.repository.store.open import open_store, prove_exclusive_put
from hypersdk.repository.store.retrying import Retrying
from tests.repository.store.faultproxy import Answer, FaultProxy


@pytest.mark.parametrize("kind", [str, Path, lambda path: f"file://{path}"])
def test_opens_a_folder(kind: Callable[[Path], str | Path], tmp_path: Path) -> None:
    place = tmp_path / "two words"
    with pytest.raises(StoreUnavailable):
        open_store(kind(place))
    store = open_store(kind(place), create=True)
    assert isinstance(store, LocalStore)
    assert store.url == str(place)


def test_a_file_url_is_decoded(tmp_path: Path) -> None:
    open_store(f"file://localhost{tmp_path}/two%20words", create=True)
    assert (tmp_path / "two words").is_dir()


@pytest.mark.parametrize("name", ["with:colon", "12:30", "C:", "a:b:c"])
def test_a_path_may_have_a_colon(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    open_store(name, create=True)
    assert (tmp_path / name).is_dir()


def test_the_home_folder_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    open_store("~/backups", create=True)
    assert (tmp_path / "backups").is_dir()


@pytest.mark.parametrize("location", ["memory:lab", "memory://lab"])
def test_memory_stores_are_shared_by_name(location: str) -> None:
    first, second = open_store(location), open_store("memory:lab")
    assert first is second
    assert isinstance(first, MemoryStore)
    assert open_store("memory:other") is not first


def test_a_bucket_is_retried_and_proves_itself(s3_location: str) -> None:
    store = open_store(s3_location, create=True)
    assert isinstance(store, Retrying)
    assert store.url == s3_location
    assert list(store.list()) == []


def test_a_server_that_replaces_objects_is_refused(
    s3_location: str, fault_proxy: FaultProxy
) -> None:
    fault_proxy.answer(Answer(200), Answer(200))
    with pytest.raises(StoreError, match="replaces objects that should be written once"):
        open_store(s3_location, create=True)


def test_the_proof_leaves_nothing() -> None:
    store = MemoryStore()
    prove_exclusive_put(store)
    assert list(store.list()) == []


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("", "location is empty"),
        ("flie:///x", r"unknown kind of location: flie://\nDid you mean file:///folder\?"),
        ("https://example.org/x", r"https://\nA location is a path, file:///folder, s3://"),
        ("s3:bucket", "Write s3://bucket/prefix"),
        ("file://server/share", "names the machine 'server'"),
        ("file:relative", "Write file:///folder"),
    ],
)
def test_refuses_what_it_does_not_know(location: str, message: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        open_store(location)
    refused.match(message)


def test_a_missing_library_says_what_to_install() -> None:
    program = (
        "import sys; sys.modules['obstore'] = None\n"
        "from hypersdk.model.errors import MissingRequirement\n"
        "from hypersdk.repository.store.open import open_store\n"
        "try: open_store('s3://lab/x')\n"
        "except MissingRequirement as error: print(error)\n"
    )
    run = [sys.executable, "-c", program]
    done = subprocess.run(run, check=True, capture_output=True, text=True)
    assert done.stdout == (
        "s3:// locations need the library obstore\nInstall it with: pip install 'hypersdk[s3]'\n"
    )


def test_a_local_repository_needs_no_library() -> None:
    program = "import sys, hypersdk.repository.store.open\nassert 'obstore' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
