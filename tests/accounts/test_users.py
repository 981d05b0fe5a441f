from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa

from hypersdk.accounts.passwords import Passwords
from hypersdk.accounts.tenants import TenantStore
from hypersdk.accounts.tokens import TokenStore
from hypersdk.accounts.users import UserStore
from hypersdk.database.engine import Database
from hypersdk.database.tables import users as table
from hypersdk.model.accounts import Role
from hypersdk.model.errors import (
    AlreadyExists,
    InvalidInput,
    InvalidState,
    NotFound,
    PreconditionFailed,
)
from tests.accounts.conftest import PASSWORD, QUICK, Clock


def test_an_account_is_as_it_was_made(users: UserStore, clock: Clock) -> None:
    made = users.create("root", PASSWORD, Role.ADMIN)
    assert users.get("root") == made
    assert (made.role, made.tenant, made.enabled, made.issuer) == (Role.ADMIN, "", True, "local")
    assert made.created == clock.moment
    assert users.any()


def test_the_database_has_only_a_hash(users: UserStore, database: Database) -> None:
    users.create("root", PASSWORD, Role.ADMIN)
    with database.read() as connection:
        stored = connection.execute(sa.select(table.c.password)).scalar_one()
    assert stored.startswith("$argon2id$")
    assert PASSWORD not in stored


@pytest.mark.parametrize("name", ["", "-a", "a b", "a/b", "x" * 129, "a\0", "local", "LOCAL"])
def test_names_that_cannot_be(users: UserStore, name: str) -> None:
    with pytest.raises(InvalidInput):
        users.create(name, PASSWORD, Role.ADMIN)


def test_nobody_of_the_name_names_the_nearest(users: UserStore) -> None:
    users.create("administrator-1", PASSWORD, Role.ADMIN)
    with pytest.raises(NotFound) as caught:
        users.get("administrator-2")
    assert "administrator-1" in caught.value.hint
    with pytest.raises(NotFound):
        users.get("a\0b")


def test_a_second_one_of_the_name(users: UserStore) -> None:
    users.create("root", PASSWORD, Role.ADMIN)
    with pytest.raises(AlreadyExists):
        users.create("root", PASSWORD, Role.VIEWER)


def test_the_first_account_administers(users: UserStore) -> None:
    with pytest.raises(InvalidState):
        users.create("eve", PASSWORD, Role.OPERATOR)
    assert not users.any()


@pytest.mark.parametrize(
    "deed",
    [
        lambda users: users.delete("root"),
        lambda users: users.change("root", enabled=False),
        lambda users: users.change("root", role=Role.OPERATOR),
        lambda users: users.change("root", tenant="acme"),
    ],
)
def test_the_last_admin_stays(
    users: UserStore, tenants: TenantStore, deed: Callable[[UserStore], object]
) -> None:
    tenants.create("acme")
    before = users.create("root", PASSWORD, Role.ADMIN)
    users.create("acme-admin", PASSWORD, Role.ADMIN, "acme")  # of a tenant: does not count
    users.create("other", PASSWORD, Role.ADMIN)
    users.change("other", enabled=False)  # nor does this one
    with pytest.raises(InvalidState) as caught:
        deed(users)
    assert caught.value.hint
    assert users.get("root") == before
    users.change("other", enabled=True)
    deed(users)


def test_a_change_needs_the_revision_that_was_seen(users: UserStore) -> None:
    users.create("root", PASSWORD, Role.ADMIN)
    seen = users.create("eve", PASSWORD, Role.VIEWER)
    users.change("eve", role=Role.OPERATOR, revision=seen.revision)
    with pytest.raises(PreconditionFailed):
        users.change("eve", role=Role.ADMIN, revision=seen.revision)
    with pytest.raises(PreconditionFailed):
        users.delete("eve", revision=seen.revision)
    assert users.get("eve").role is Role.OPERATOR


def test_a_tenant_that_is_not_there(users: UserStore) -> None:
    users.create("root", PASSWORD, Role.ADMIN)
    with pytest.raises(InvalidInput):
        users.create("eve", PASSWORD, Role.VIEWER, "acme")
    with pytest.raises(InvalidInput):
        users.change("root", tenant="acme")


def test_users_of_other_tenants_are_not_there(users: UserStore, tenants: TenantStore) -> None:
    tenants.create("acme")
    users.create("root", PASSWORD, Role.ADMIN)
    users.create("eve", PASSWORD, Role.VIEWER, "acme")
    assert [user.name for user in users.list(tenant="acme")] == ["eve"]
    assert [user.name for user in users.list()] == ["eve", "root"]
    assert [user.name for user in users.list(after="eve")] == ["root"]
    with pytest.raises(NotFound) as caught:
        users.get("root", tenant="acme")
    assert "root" not in caught.value.hint


def test_a_password_is_checked(users: UserStore, clock: Clock) -> None:
    users.create("root", PASSWORD, Role.ADMIN)
    users.create("keyless", None, Role.VIEWER)
    clock.pass_by(hours=1)
    user = users.check_password("root", PASSWORD)
    assert user is not None
    assert user.last_login == users.get("root").last_login == clock.moment
    assert users.check_password("root", PASSWORD + "!") is None
    assert users.check_password("nobody", PASSWORD) is None
    assert users.check_password("keyless", "") is None
    assert users.check_password("a\0b", PASSWORD) is None
    users.create("eve", PASSWORD, Role.VIEWER)
    users.change("eve", enabled=False)
    assert users.check_password("eve", PASSWORD) is None


class Counting(Passwords):
    """Counts the hashes that are compared, whoever they belong to."""

    def __init__(self) -> None:
        super().__init__(passes=1, memory_kib=64, lanes=1)
        self.compared: list[str] = []

    def _verify(self, stored: str, password: str) -> bool:
        self.compared.append(stored)
        return super()._verify(stored, password)


def test_a_user_who_is_not_there_costs_one_hash_like_any_other(database: Database) -> None:
    counting = Counting()
    users = UserStore(database, counting)
    users.create("root", PASSWORD, Role.ADMIN)
    users.create("keyless", None, Role.VIEWER)
    for name in ("root", "nobody", "keyless", "a b"):
        counting.compared.clear()
        assert users.check_password(name, "something else") is None
        assert len(counting.compared) == 1
        # Of the same parameters, so it takes as long.
        assert not counting.outdated(counting.compared[0])


def test_an_outdated_hash_is_made_anew_by_a_log_in(database: Database, users: UserStore) -> None:
    users.create("root", PASSWORD, Role.ADMIN)
    stronger = Passwords(passes=2, memory_kib=64, lanes=1)
    assert UserStore(database, stronger).check_password("root", PASSWORD) is not None
    with database.read() as connection:
        stored = connection.execute(sa.select(table.c.password)).scalar_one()
    assert not stronger.outdated(stored)
    assert QUICK.matches(stored, PASSWORD)


def test_a_new_password_ends_sessions_and_not_tokens(users: UserStore, tokens: TokenStore) -> None:
    user = users.create("root", PASSWORD, Role.ADMIN)
    _, session = tokens.create(user, name="log-in", kind="session")
    _, lasting = tokens.create(user, name="cron")
    users.set_password("root", "another four random words")
    assert tokens.find(session) is None
    assert tokens.find(lasting) is not None
    assert users.check_password("root", PASSWORD) is None
    assert users.check_password("root", "another four random words") is not None
    with pytest.raises(InvalidInput):
        users.set_password("root", "tooshort")


def test_users_of_an_issuer_have_no_password_here(users: UserStore) -> None:
    users.create("root", PASSWORD, Role.ADMIN)
    users.create("eve", None, Role.VIEWER, "", "https://issuer.example")
    with pytest.raises(InvalidState):
        users.set_password("eve", PASSWORD)


def test_tokens_go_with_their_user(users: UserStore, tokens: TokenStore) -> None:
    users.create("root", PASSWORD, Role.ADMIN)
    _, secret = tokens.create(users.create("eve", PASSWORD, Role.VIEWER), name="cron")
    users.delete("eve")
    assert tokens.find(secret) is None
    users.create("eve", PASSWORD, Role.ADMIN)  # another person of the same name
    assert tokens.find(secret) is None


def test_an_account_of_another_process_is_seen_within_a_second(
    database: Database, users: UserStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr("hypersdk.accounts.users.time.monotonic", lambda: now[0])
    assert not users.any()
    UserStore(database, QUICK).create("root", PASSWORD, Role.ADMIN)
    assert not users.any()
    now[0] += 1.1
    assert users.any()
