from __future__ import annotations

import pytest

from hypersdk.config.daemon.estate import RepositorySettings
from hypersdk.database.engine import Database
from hypersdk.estate.repositories import RepositoryStore
from hypersdk.model.errors import Conflict, InvalidInput, NotAllowed, NotFound
from hypersdk.model.estate import Budget


@pytest.fixture
def store(database: Database) -> RepositoryStore:
    return RepositoryStore(database)


def test_what_is_made_is_there_and_can_be_changed(store: RepositoryStore) -> None:
    made = store.create("main", "/srv/backup", key="env:KEY", budget=Budget(bandwidth=5))
    assert store.get("main") == made
    assert (made.location, made.key, made.budget) == ("/srv/backup", "env:KEY", Budget(bandwidth=5))
    changed = store.change("main", key="", key_file="/etc/key")
    assert (changed.key, changed.key_file) == ("", "/etc/key")
    store.delete("main")
    with pytest.raises(NotFound, match="no repository 'main'"):
        store.get("main")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"location": " "}, "no location"),
        ({"location": "s3://key:geheim@bucket"}, "password"),
        ({"location": "/srv", "key": "geheim"}, "as a reference"),
        ({"location": "/srv", "key": "env:A", "identity": "/i"}, "one key"),
    ],
)
def test_what_cannot_be_is_refused(
    store: RepositoryStore, fields: dict[str, str], said: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        store.create("main", **fields)  # type: ignore[arg-type]
    assert said in str(refused.value)
    assert "geheim" not in str(refused.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"location": "/srv/backup"},
        {"location": "file:///srv/backup"},
        {"location": "s3://b/p", "key": "env:KEY"},
        {"location": "s3://b/p", "key_file": "/etc/key"},
    ],
)
def test_a_tenant_gets_no_way_to_the_daemons_own_host(
    store: RepositoryStore, fields: dict[str, str]
) -> None:
    with pytest.raises(NotAllowed):
        store.create("main", tenant="red", trusted=False, **fields)  # type: ignore[arg-type]
    store.create("main", tenant="red", **fields)  # type: ignore[arg-type]
    assert store.change("main", trusted=False, description="ours").description == "ours"
    with pytest.raises(NotAllowed):
        store.change("main", trusted=False, location="/etc")


def test_those_of_the_settings_file_are_read_only(store: RepositoryStore) -> None:
    assert store.declare({"main": RepositorySettings(location="/srv", key="env:K")}) == ("main",)
    assert store.get("main").managed
    with pytest.raises(Conflict):
        store.change("main", description="x")
    assert store.declare({}) == ("main",)
