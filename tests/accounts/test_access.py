from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from hypersdk.accounts.access import REMEMBERED_SECONDS, Access, Credentials
from hypersdk.accounts.oidc import OpenId, OpenIdProvider
from hypersdk.accounts.tenants import TenantStore
from hypersdk.accounts.throttle import LoginThrottle
from hypersdk.accounts.tokens import TokenStore
from hypersdk.accounts.users import UserStore
from hypersdk.database.engine import Database
from hypersdk.model.accounts import LOCAL, Principal, Role, User
from hypersdk.model.errors import (
    InvalidInput,
    NotAllowed,
    NotAuthenticated,
    TooManyRequests,
)
from tests.accounts.conftest import PASSWORD, Clock, Seconds
from tests.accounts.provider import Provider, provider

NOTHING = Credentials()


@pytest.fixture
def access(users: UserStore, tokens: TokenStore, seconds: Seconds) -> Access:
    return Access(users, tokens, open_loopback=True, clock=seconds)


@pytest.fixture
def root(users: UserStore) -> User:
    return users.create("root", PASSWORD, Role.ADMIN)


def who(access: Access, secret: str) -> Principal:
    """As a request asks: what is remembered first."""
    credentials = Credentials(secret)
    return access.recall(credentials) or access.authenticate(credentials, "10.0.0.1")


def test_without_accounts_everybody_here_is_local(access: Access) -> None:
    assert access.authenticate(NOTHING, "127.0.0.1") is LOCAL
    assert access.recall(NOTHING) is LOCAL
    assert access.valid(LOCAL)


def test_without_accounts_and_reached_by_others(users: UserStore, tokens: TokenStore) -> None:
    access = Access(users, tokens, open_loopback=False)
    assert access.recall(NOTHING) is None
    with pytest.raises(NotAuthenticated):
        access.authenticate(NOTHING, "127.0.0.1")
    assert not access.valid(LOCAL)


def test_the_first_account_closes_it_at_once(access: Access, users: UserStore) -> None:
    assert access.authenticate(NOTHING, "") is LOCAL
    users.create("root", PASSWORD, Role.ADMIN)
    assert access.recall(NOTHING) is None
    with pytest.raises(NotAuthenticated) as caught:
        access.authenticate(NOTHING, "")
    assert "Bearer" in caught.value.hint
    assert not access.valid(LOCAL)


def test_a_token_is_its_user_with_the_lesser_role(
    access: Access, users: UserStore, tokens: TokenStore, tenants: TenantStore, root: User
) -> None:
    tenants.create("acme")
    eve = users.create("eve", PASSWORD, Role.ADMIN, "acme")
    token, secret = tokens.create(eve, name="cron", role=Role.OPERATOR, scopes=["jobs"])
    assert who(access, secret) == Principal(
        "eve", Role.OPERATOR, "acme", frozenset({"jobs"}), token.id
    )
    users.change("eve", role=Role.VIEWER)
    assert who(access, secret).role is Role.VIEWER
    users.change("eve", role=Role.ADMIN)
    assert who(access, secret).role is Role.OPERATOR


def test_what_is_revoked_here_ends_at_once(
    access: Access, users: UserStore, tokens: TokenStore, root: User
) -> None:
    token, secret = tokens.create(root, name="cron")
    assert who(access, secret).user == "root"
    assert access.recall(Credentials(secret)) is not None
    tokens.revoke(token.id)
    assert access.recall(Credentials(secret)) is None
    with pytest.raises(NotAuthenticated):
        who(access, secret)
    eve = users.create("eve", PASSWORD, Role.VIEWER)
    _, hers = tokens.create(eve, name="cron")
    who(access, hers)
    users.change("eve", enabled=False)
    with pytest.raises(NotAuthenticated):
        who(access, hers)


def test_what_another_process_revokes_ends_soon(
    access: Access, database: Database, tokens: TokenStore, root: User, seconds: Seconds
) -> None:
    token, secret = tokens.create(root, name="cron")
    who(access, secret)
    TokenStore(database).revoke(token.id)
    seconds.now += REMEMBERED_SECONDS + 0.1
    with pytest.raises(NotAuthenticated):
        who(access, secret)


def test_what_expires_is_not_remembered_for_longer(
    access: Access, tokens: TokenStore, root: User, clock: Clock, seconds: Seconds
) -> None:
    _, secret = tokens.create(root, name="cron", expires=clock.moment + timedelta(seconds=1))
    who(access, secret)
    clock.pass_by(seconds=1.1)
    seconds.now += 1.1
    with pytest.raises(NotAuthenticated):
        who(access, secret)


def test_many_wrong_ones_from_one_address(access: Access, tokens: TokenStore, root: User) -> None:
    _, secret = tokens.create(root, name="cron")
    said: list[type[Exception]] = []
    for at in range(100):
        with pytest.raises((NotAuthenticated, TooManyRequests)) as caught:
            access.authenticate(Credentials(f"hsdk_wrong_{at}"), "10.0.0.1")
        said.append(caught.type)
    assert said[0] is NotAuthenticated
    assert said[-1] is TooManyRequests
    # Right ones pass all the same.
    assert access.authenticate(Credentials(secret), "10.0.0.1").user == "root"


def test_a_ticket_stands_for_a_token_once(access: Access, tokens: TokenStore, root: User) -> None:
    token, secret = tokens.create(root, name="cron", scopes=["events"])
    principal = who(access, secret)
    ticket = Credentials(ticket=access.tickets.issue(principal))
    assert access.recall(ticket) is None
    assert access.authenticate(ticket, "") == principal
    with pytest.raises(NotAuthenticated):
        access.authenticate(ticket, "")
    late = Credentials(ticket=access.tickets.issue(principal))
    tokens.revoke(token.id)
    with pytest.raises(NotAuthenticated):
        access.authenticate(late, "")


def test_log_in_and_out(access: Access, root: User, clock: Clock) -> None:
    token, secret = access.login("root", PASSWORD, "10.0.0.1")
    assert (token.kind, token.expires) == ("session", clock.moment + timedelta(hours=24))
    assert who(access, secret).role is Role.ADMIN
    access.logout(secret)
    with pytest.raises(NotAuthenticated):
        who(access, secret)
    access.logout(secret)


def test_wrong_log_ins_do_not_say_what_was_wrong(access: Access, root: User) -> None:
    said = set()
    for name, password in (("root", "wrong"), ("nobody", PASSWORD)):
        with pytest.raises(NotAuthenticated) as caught:
            access.login(name, password, "10.0.0.1")
        said.add(str(caught.value))
    assert len(said) == 1


def test_log_ins_are_throttled(
    users: UserStore, tokens: TokenStore, root: User, seconds: Seconds
) -> None:
    access = Access(users, tokens, open_loopback=False, throttle=LoginThrottle(seconds, attempts=2))
    for _ in range(3):
        with pytest.raises(NotAuthenticated):
            access.login("root", "wrong", "10.0.0.1")
    with pytest.raises(TooManyRequests) as caught:
        access.login("root", PASSWORD, "10.0.0.1")
    access.login("root", PASSWORD, "10.0.0.2")
    seconds.now += caught.value.after
    access.login("root", PASSWORD, "10.0.0.1")


def test_changing_ones_own_password(access: Access, root: User) -> None:
    with pytest.raises(NotAuthenticated):
        access.change_password("root", "wrong", "another four random words", "")
    access.change_password("root", PASSWORD, "another four random words", "")
    access.login("root", "another four random words", "")


# Tokens made with tokens.


def principal_of(access: Access, tokens: TokenStore, user: User, **more: Any) -> Principal:
    _, secret = tokens.create(user, name="maker", **more)
    return who(access, secret)


def test_a_token_makes_none_that_can_do_more(
    access: Access, tokens: TokenStore, root: User
) -> None:
    viewer = principal_of(access, tokens, root, role=Role.VIEWER)
    with pytest.raises(NotAllowed):
        access.issue(viewer, root, name="more", role=Role.OPERATOR)
    assert access.issue(viewer, root, name="as much")[0].role is Role.VIEWER
    scoped = principal_of(access, tokens, root, scopes=["jobs", "tokens"])
    for scopes in ([], ["users"], ["jobs", "users"]):
        with pytest.raises(NotAllowed):
            access.issue(scoped, root, name="more", scopes=scopes)
    made, _ = access.issue(scoped, root, name="less", scopes=["jobs"])
    assert made.scopes == {"jobs"}


def test_a_token_makes_none_that_lives_longer(
    access: Access, tokens: TokenStore, root: User, clock: Clock
) -> None:
    soon, later = clock.moment + timedelta(days=1), clock.moment + timedelta(days=2)
    maker = principal_of(access, tokens, root, expires=soon)
    assert access.issue(maker, root, name="none said")[0].expires == soon
    with pytest.raises(NotAllowed):
        access.issue(maker, root, name="longer", expires=later)
    session = principal_of(access, tokens, root, expires=soon, kind="session")
    assert access.issue(session, root, name="longer", expires=later)[0].expires == later
    assert access.issue(session, root, name="for ever")[0].expires is None


def test_the_longest_life_of_tokens(
    users: UserStore, tokens: TokenStore, root: User, clock: Clock
) -> None:
    access = Access(users, tokens, open_loopback=False, token_days=30)
    last = clock.moment + timedelta(days=30)
    assert access.issue(LOCAL, root, name="none said")[0].expires == last
    with pytest.raises(InvalidInput):
        access.issue(LOCAL, root, name="longer", expires=last + timedelta(seconds=1))


def test_a_token_for_somebody_else_has_their_role(
    access: Access, users: UserStore, root: User
) -> None:
    eve = users.create("eve", PASSWORD, Role.VIEWER)
    me = Principal("root", Role.ADMIN)
    assert access.issue(me, eve, name="hers")[0].role is Role.VIEWER
    with pytest.raises(NotAllowed):
        access.issue(me, eve, name="hers", role=Role.ADMIN)


# Users of an OpenID provider.


@pytest.fixture
def issuer() -> Iterator[Provider]:
    with provider() as one:
        yield one


@pytest.fixture
def federated(users: UserStore, tokens: TokenStore, issuer: Provider, seconds: Seconds) -> Access:
    settings = OpenIdProvider(
        issuer=issuer.issuer,
        audience=("hypersdk",),
        roles={"look": Role.VIEWER, "ops": Role.OPERATOR, "boss": Role.ADMIN},
        tenant_claim="org",
    )
    return Access(users, tokens, open_loopback=True, openid=OpenId(settings), clock=seconds)


def test_with_a_provider_it_is_not_open(federated: Access) -> None:
    assert federated.recall(NOTHING) is None
    with pytest.raises(NotAuthenticated):
        federated.authenticate(NOTHING, "127.0.0.1")


def test_its_users_get_accounts(
    federated: Access, users: UserStore, tenants: TenantStore, issuer: Provider
) -> None:
    tenants.create("acme")
    found = who(federated, issuer.token(org="acme"))
    assert found == Principal("eve", Role.OPERATOR, "acme")
    assert users.get("eve").issuer == issuer.issuer
    assert users.check_password("eve", "") is None
    assert federated.valid(found)
    changed = who(federated, issuer.token(org="*", roles=["boss"]))
    assert (changed.role, changed.tenant) == (Role.ADMIN, "")
    assert not federated.valid(found)


def test_a_tenant_that_nobody_made(federated: Access, issuer: Provider) -> None:
    with pytest.raises(InvalidInput):
        who(federated, issuer.token(org="unknown"))


def test_one_who_is_disabled_here(federated: Access, users: UserStore, issuer: Provider) -> None:
    token = issuer.token(org="*")
    who(federated, token)
    users.change("eve", enabled=False)
    with pytest.raises(NotAuthenticated):
        who(federated, token)


def test_the_name_of_a_local_account(federated: Access, users: UserStore, issuer: Provider) -> None:
    users.create("root", PASSWORD, Role.ADMIN)
    with pytest.raises(NotAllowed):
        who(federated, issuer.token(org="*", sub="root", roles=["boss"]))
    with pytest.raises(InvalidInput):
        who(federated, issuer.token(org="*", sub="local", roles=["boss"]))


def test_wrong_tokens_of_a_provider_count_as_wrong(federated: Access, issuer: Provider) -> None:
    with pytest.raises(NotAuthenticated):
        who(federated, issuer.token(org="*", aud="other"))
