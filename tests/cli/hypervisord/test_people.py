"""Accounts and tokens."""

from __future__ import annotations

import pytest

from hypersdk.accounts.audit import AuditLog
from hypersdk.accounts.tokens import TokenStore
from hypersdk.accounts.users import UserStore
from hypersdk.database.engine import Database
from tests.cli.hypervisord.conftest import Hypervisord

PASSWORD = "correct horse battery"


@pytest.fixture
def ada(hypervisord: Hypervisord, monkeypatch: pytest.MonkeyPatch) -> Hypervisord:
    monkeypatch.setenv("PASSWORD", PASSWORD)
    words = ("--role", "admin", "--password-from", "env:PASSWORD")
    assert hypervisord("users", "add", "ada", *words).out == "user ada (admin) was made\n"
    return hypervisord


@pytest.fixture
def database(hypervisord: Hypervisord) -> Database:
    return Database.open(f"sqlite:///{hypervisord.folder}/state/hypervisord.db")


def test_an_account_can_log_in(ada: Hypervisord, database: Database) -> None:
    assert UserStore(database).check_password("ada", PASSWORD) is not None
    (user,) = ada("users", "list", "--json").json["users"]
    assert (user["name"], user["role"], user["enabled"]) == ("ada", "admin", True)
    assert "ada" in ada("users", "list").out
    database.close()


def test_a_password_is_changed_and_not_shown(
    ada: Hypervisord, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PASSWORD", "another long password")
    found = ada("users", "password", "ada", "--password-from", "env:PASSWORD")
    assert "another" not in found.out + found.err
    assert UserStore(database).check_password("ada", PASSWORD) is None
    database.close()


def test_a_password_is_never_an_argument(hypervisord: Hypervisord) -> None:
    found = hypervisord("users", "add", "ada", "--password-from", "geheim", expect=2)
    assert "as a reference" in found.err
    assert "geheim" not in found.err


def test_a_token_is_shown_once_and_works(ada: Hypervisord, database: Database) -> None:
    made = ada("tokens", "create", "ada", "--name", "cron", "--role", "viewer", "--expires", "90d")
    secret = made.out.strip()
    assert secret.startswith("hsdk_")
    found = TokenStore(database).find(secret)
    assert found is not None
    assert (found[0].name, found[0].role.value, found[1].name) == ("cron", "viewer", "ada")
    listed = ada("tokens", "list")
    assert found[0].id in listed.out
    assert secret not in listed.out
    ada("tokens", "revoke", found[0].id)
    assert TokenStore(database).find(secret) is None
    ada("tokens", "revoke", "nothing", expect=1)
    database.close()


def test_every_change_is_in_the_audit_log(ada: Hypervisord, database: Database) -> None:
    ada("tokens", "create", "ada")
    entries = AuditLog(database).list()
    assert [each.action for each in entries] == ["token.create", "user.create"]
    assert {each.origin for each in entries} == {"console"}
    assert PASSWORD not in repr(entries)
    assert AuditLog(database).verify() is None
    database.close()
