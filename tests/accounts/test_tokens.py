from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from hypersdk.accounts.tenants import TenantStore
from hypersdk.accounts.tokens import SESSIONS_MOST, TOKENS_MOST, TokenStore
from hypersdk.accounts.users import UserStore
from hypersdk.database.engine import Database
from hypersdk.database.tables import tokens as table
from hypersdk.model.accounts import Role, User
from hypersdk.model.errors import InvalidInput, NotAllowed, NotFound
from hypersdk.observe.redact import redact
from tests.accounts.conftest import PASSWORD, Clock


@pytest.fixture
def root(users: UserStore) -> User:
    return users.create("root", PASSWORD, Role.ADMIN)


def test_a_secret_leads_to_its_token_and_user(tokens: TokenStore, root: User) -> None:
    token, secret = tokens.create(root, name="cron", role=Role.VIEWER, scopes=["jobs"])
    assert secret.startswith(f"hsdk_{token.id}_")
    found = tokens.find(secret)
    assert found is not None
    assert found[0].id == token.id
    assert (found[0].role, found[0].scopes, found[1].name) == (
        Role.VIEWER,
        frozenset({"jobs"}),
        "root",
    )
    assert tokens.find(secret + "x") is None
    assert tokens.find(secret.removeprefix("hsdk_")) is None


def test_the_database_has_no_secret(database: Database, tokens: TokenStore, root: User) -> None:
    _, secret = tokens.create(root, name="cron")
    with database.read() as connection:
        row = connection.execute(sa.select(table)).one()
    assert secret.rpartition("_")[2] not in str(tuple(row))


def test_logs_do_not_show_a_secret(tokens: TokenStore, root: User) -> None:
    token, secret = tokens.create(root, name="cron")
    shown = redact(f"the request had {secret} in it")
    assert secret not in shown
    assert token.id in shown


def test_no_more_than_the_user(tokens: TokenStore, users: UserStore, root: User) -> None:
    eve = users.create("eve", PASSWORD, Role.OPERATOR)
    with pytest.raises(NotAllowed):
        tokens.create(eve, name="cron", role=Role.ADMIN)
    assert tokens.create(eve, name="cron")[0].role is Role.OPERATOR


def test_an_end_in_the_past(tokens: TokenStore, root: User, clock: Clock) -> None:
    with pytest.raises(InvalidInput):
        tokens.create(root, name="cron", expires=clock.moment)


def test_it_expires(tokens: TokenStore, root: User, clock: Clock) -> None:
    _, secret = tokens.create(root, name="cron", expires=clock.moment + timedelta(hours=1))
    clock.pass_by(minutes=59)
    assert tokens.find(secret) is not None
    clock.pass_by(minutes=1)
    assert tokens.find(secret) is None


def test_it_is_revoked(tokens: TokenStore, root: User) -> None:
    token, secret = tokens.create(root, name="cron")
    tokens.revoke(token.id)
    assert tokens.find(secret) is None
    for id in (token.id, "nothing", "0" * 16, "\0"):
        with pytest.raises(NotFound):
            tokens.revoke(id)
        with pytest.raises(NotFound):
            tokens.get(id)


def test_it_does_not_count_while_its_user_is_disabled(
    tokens: TokenStore, users: UserStore, root: User
) -> None:
    _, secret = tokens.create(users.create("eve", PASSWORD, Role.VIEWER), name="cron")
    users.change("eve", enabled=False)
    assert tokens.find(secret) is None
    users.change("eve", enabled=True)
    assert tokens.find(secret) is not None


def test_its_last_use_is_noted_once_a_minute(tokens: TokenStore, root: User, clock: Clock) -> None:
    token, secret = tokens.create(root, name="cron")
    assert tokens.get(token.id).last_used is None
    began = clock.moment
    tokens.find(secret)
    clock.pass_by(seconds=59)
    tokens.find(secret)
    assert tokens.get(token.id).last_used == began
    clock.pass_by(seconds=1)
    tokens.find(secret)
    assert tokens.get(token.id).last_used == clock.moment


def test_sessions_end_together(tokens: TokenStore, root: User) -> None:
    secrets = [tokens.create(root, name="log-in", kind="session")[1] for _ in range(3)]
    _, lasting = tokens.create(root, name="cron")
    tokens.revoke_secret(secrets[0])
    assert tokens.revoke_sessions("root") == 2
    assert [tokens.find(secret) for secret in secrets] == [None] * 3
    assert tokens.find(lasting) is not None
    tokens.revoke_secret("hsdk_unknown")


def test_a_session_too_many_ends_the_oldest(tokens: TokenStore, root: User, clock: Clock) -> None:
    secrets = []
    for _ in range(SESSIONS_MOST + 1):
        clock.pass_by(seconds=1)
        secrets.append(tokens.create(root, name="log-in", kind="session")[1])
    assert tokens.find(secrets[0]) is None
    assert tokens.find(secrets[1]) is not None
    assert len(tokens.list("root")) == SESSIONS_MOST


def test_tokens_of_one_user_are_bounded(database: Database, tokens: TokenStore, root: User) -> None:
    token, _ = tokens.create(root, name="cron")
    with database.write() as connection:
        row = connection.execute(sa.select(table)).one()._mapping
        connection.execute(
            sa.insert(table),
            [{**row, "id": f"{at:016x}", "digest": str(at)} for at in range(TOKENS_MOST - 1)],
        )
    with pytest.raises(InvalidInput):
        tokens.create(root, name="one more")
    tokens.revoke(token.id)
    tokens.create(root, name="one more")


def test_lists_are_of_a_user_or_a_tenant(
    tokens: TokenStore, users: UserStore, tenants: TenantStore, root: User
) -> None:
    tenants.create("acme")
    eve = users.create("eve", PASSWORD, Role.VIEWER, "acme")
    first, _ = tokens.create(root, name="one")
    second, _ = tokens.create(eve, name="two")
    assert {token.id for token in tokens.list()} == {first.id, second.id}
    assert [token.id for token in tokens.list("eve")] == [second.id]
    assert [token.id for token in tokens.list(tenant="acme")] == [second.id]
    assert tokens.get(second.id, tenant="acme").name == "two"
    with pytest.raises(NotFound):
        tokens.get(first.id, tenant="acme")
    ids = sorted([first.id, second.id])
    assert [token.id for token in tokens.list(after=ids[0])] == ids[1:]


def test_expired_ones_are_forgotten(tokens: TokenStore, root: User, clock: Clock) -> None:
    tokens.create(root, name="short", expires=clock.moment + timedelta(hours=1))
    kept, _ = tokens.create(root, name="lasting")
    clock.pass_by(days=2)
    assert tokens.forget_expired(clock.moment) == 1
    assert [token.id for token in tokens.list()] == [kept.id]
