from __future__ import annotations

import base64
import hmac
import json
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from hypersdk.accounts.issuer import AGAIN_SECONDS, FRESH_SECONDS, STALE_SECONDS, IssuerKeys
from hypersdk.accounts.oidc import LEEWAY_SECONDS, OpenId, OpenIdProvider
from hypersdk.model.accounts import Role
from hypersdk.model.errors import InvalidInput, NotAllowed, NotAuthenticated
from tests.accounts.conftest import Seconds
from tests.accounts.provider import Provider, provider

ROLES = {"look": Role.VIEWER, "ops": Role.OPERATOR, "boss": Role.ADMIN}


@pytest.fixture
def issuer() -> Iterator[Provider]:
    with provider() as one:
        yield one


@pytest.fixture
def keys(issuer: Provider, seconds: Seconds) -> IssuerKeys:
    return IssuerKeys(issuer.issuer, clock=seconds)


def openid(issuer: Provider, keys: IssuerKeys, **more: Any) -> OpenId:
    return OpenId(
        OpenIdProvider(issuer=issuer.issuer, audience=("hypersdk",), roles=ROLES, **more), keys
    )


def test_a_token_says_who_somebody_is(issuer: Provider, keys: IssuerKeys) -> None:
    token = issuer.token()
    assert OpenId.resembles(token)
    found = openid(issuer, keys).check(token)
    assert (found.name, found.role, found.tenant) == ("eve", Role.OPERATOR, "")
    assert found.issuer == issuer.issuer
    assert 0 < found.expires.timestamp() - time.time() <= 300


@pytest.mark.parametrize("secret", ["", "hsdk_0_a", "eyJ.a", "a.b.c", "eyJh.b.c d", "eyJ" * 9000])
def test_what_is_no_token_of_a_provider(secret: str) -> None:
    assert not OpenId.resembles(secret)


def test_several_audiences_and_elliptic_keys(issuer: Provider, keys: IssuerKeys) -> None:
    key = ECKey.generate_key("P-256", {"kid": "curve"})
    issuer.keys.append(key.as_dict(private=False))
    token = issuer.token(
        key=key, header={"alg": "ES256", "kid": "curve"}, aud=["other", "hypersdk"]
    )
    assert openid(issuer, keys).check(token).name == "eve"


def _part(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=="))
    return found


def _joined(content: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def _with_claims(token: str, **claims: Any) -> str:
    head, content, signature = token.split(".")
    return f"{head}.{_joined({**_part(content), **claims})}.{signature}"


def _unsigned(token: str) -> str:
    _, content, _ = token.split(".")
    return f"{_joined({'alg': 'none'})}.{content}."


def _signed_with_what_is_published(issuer: Provider) -> str:
    public = issuer.key.as_pem(private=False)
    _, content, _ = issuer.token().split(".")
    signed = f"{_joined({'alg': 'HS256', 'kid': 'first'})}.{content}"
    signature = hmac.new(public, signed.encode(), "sha256").digest()
    return f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def _now(change: int) -> int:
    return int(time.time()) + change


@pytest.mark.parametrize(
    "make",
    [
        lambda p: p.token(iss="https://other.example"),
        lambda p: p.token(without=("iss",)),
        lambda p: p.token(aud="another service"),
        lambda p: p.token(without=("aud",)),
        lambda p: p.token(aud=[]),
        lambda p: p.token(exp=_now(-LEEWAY_SECONDS - 2)),
        lambda p: p.token(without=("exp",)),
        lambda p: p.token(exp="soon"),
        lambda p: p.token(exp=1e300),
        lambda p: p.token(nbf=_now(LEEWAY_SECONDS + 60)),
        lambda p: p.token(iat=_now(LEEWAY_SECONDS + 60)),
        lambda p: p.token(without=("sub",)),
        lambda p: p.token(sub=""),
        lambda p: p.token(sub=["eve"]),
        lambda p: p.token(header={"typ": "logout+jwt"}),
        lambda p: p.token(header={"kid": "unknown"}),
        lambda p: p.token(key=RSAKey.generate_key(2048)),
        lambda p: p.token()[:-3] + "AAA",
        lambda p: _with_claims(p.token(), roles=["boss"]),
        lambda p: _unsigned(p.token()),
        # Signed with the published key, taken for a shared secret.
        _signed_with_what_is_published,
    ],
)
def test_tokens_that_do_not_count(
    issuer: Provider, keys: IssuerKeys, make: Callable[[Provider], str]
) -> None:
    checked = openid(issuer, keys)
    checked.check(issuer.token())  # the keys are known
    token = make(issuer)
    with pytest.raises(NotAuthenticated) as caught:
        checked.check(token)
    assert token not in str(caught.value)
    assert caught.value.hint


def test_clocks_may_differ_a_little(issuer: Provider, keys: IssuerKeys) -> None:
    openid(issuer, keys).check(issuer.token(exp=_now(5 - LEEWAY_SECONDS)))


def test_roles(issuer: Provider, keys: IssuerKeys) -> None:
    checked = openid(issuer, keys, role_claim="realm_access.roles")

    def role(claim: Any) -> Role:
        return checked.check(issuer.token(realm_access={"roles": claim})).role

    assert role(["look", "boss", "other"]) is Role.ADMIN
    assert role("look") is Role.VIEWER
    for nothing in ([], ["other"], "admin", None, 7, [["boss"]], {"boss": 1}):
        with pytest.raises(NotAllowed):
            role(nothing)
    with pytest.raises(NotAllowed):
        checked.check(issuer.token(realm_access="boss"))


def test_a_claim_with_dots_in_its_own_name(issuer: Provider, keys: IssuerKeys) -> None:
    name = "https://hypersdk.example/roles"
    claims: Any = {name: ["boss"]}
    checked = openid(issuer, keys, role_claim=name)
    assert checked.check(issuer.token(**claims)).role is Role.ADMIN


def test_tenants(issuer: Provider, keys: IssuerKeys) -> None:
    checked = openid(issuer, keys, tenant_claim="org")
    assert checked.check(issuer.token(org="acme")).tenant == "acme"
    assert checked.check(issuer.token(org=["acme"])).tenant == "acme"
    assert checked.check(issuer.token(org="*")).tenant == ""
    # Whoever has none must not see what is everybody's.
    for nothing in ("", None, [], ["acme", "other"], 7):
        with pytest.raises(NotAllowed):
            checked.check(issuer.token(org=nothing))
    with pytest.raises(NotAllowed):
        checked.check(issuer.token())


def test_names_that_cannot_be_are_made_to_fit(issuer: Provider, keys: IssuerKeys) -> None:
    checked = openid(issuer, keys)
    names = [
        checked.check(issuer.token(sub=sub)).name
        for sub in ("auth0|eve", "auth0-eve", "auth0/eve", "../eve", "é", "a\0b")
    ]
    assert len(set(names)) == len(names)
    assert names[1] == "auth0-eve"
    assert names[0].startswith("auth0-eve-")


def test_keys_are_kept(issuer: Provider, keys: IssuerKeys, seconds: Seconds) -> None:
    checked = openid(issuer, keys)
    for _ in range(3):
        checked.check(issuer.token())
    assert len(issuer.asked) == 2
    seconds.now += FRESH_SECONDS + 1
    checked.check(issuer.token())
    assert len(issuer.asked) == 4


def test_a_new_key_is_found_and_made_up_ones_cost_nothing(
    issuer: Provider, keys: IssuerKeys, seconds: Seconds
) -> None:
    checked = openid(issuer, keys)
    checked.check(issuer.token())
    second = RSAKey.generate_key(2048, {"kid": "second"})
    issuer.keys = [second.as_dict(private=False)]
    token = issuer.token(key=second, header={"kid": "second"})
    with pytest.raises(NotAuthenticated):
        checked.check(token)  # it looked a moment ago
    seconds.now += AGAIN_SECONDS + 1
    assert checked.check(token).name == "eve"
    with pytest.raises(NotAuthenticated):
        checked.check(issuer.token())  # a key that was withdrawn
    asked = len(issuer.asked)
    for at in range(20):
        with pytest.raises(NotAuthenticated):
            checked.check(issuer.token(header={"kid": f"made-up-{at}"}))
    assert len(issuer.asked) == asked


def test_a_provider_that_is_away(issuer: Provider, keys: IssuerKeys, seconds: Seconds) -> None:
    checked = openid(issuer, keys)
    issuer.broken = True
    with pytest.raises(NotAuthenticated):
        checked.check(issuer.token())
    issuer.broken = False
    seconds.now += AGAIN_SECONDS + 1
    checked.check(issuer.token())
    issuer.broken = True
    seconds.now += FRESH_SECONDS + 1
    checked.check(issuer.token())  # with the keys that are known
    seconds.now += STALE_SECONDS
    with pytest.raises(NotAuthenticated):
        checked.check(issuer.token())


def test_keys_of_another_issuer_or_behind_a_redirect(
    issuer: Provider, keys: IssuerKeys, seconds: Seconds
) -> None:
    checked = openid(issuer, keys)
    issuer.redirects = True
    with pytest.raises(NotAuthenticated):
        checked.check(issuer.token())
    assert not any(path.endswith("elsewhere") for path in issuer.asked)
    issuer.redirects = False
    issuer.claims_issuer = "https://other.example"
    seconds.now += AGAIN_SECONDS + 1
    with pytest.raises(NotAuthenticated):
        checked.check(issuer.token())


def test_published_keys_that_are_not_used(issuer: Provider, keys: IssuerKeys) -> None:
    with warnings.catch_warnings(action="ignore"):  # the library's own
        weak = RSAKey.generate_key(1024, {"kid": "weak"})
    sealing = RSAKey.generate_key(2048, {"kid": "sealing"})
    shared = OctKey.generate_key(256, {"kid": "shared"})
    issuer.keys += [
        weak.as_dict(private=False),
        {**sealing.as_dict(private=False), "use": "enc"},
        shared.as_dict(),
        {"kty": "RSA", "kid": "broken"},
        {"kty": "FUTURE"},
        "no key",
    ]
    checked = openid(issuer, keys)
    checked.check(issuer.token())
    for key, id in ((weak, "weak"), (sealing, "sealing")):
        with pytest.raises(NotAuthenticated):
            checked.check(issuer.token(key=key, header={"kid": id}))
    with pytest.raises(NotAuthenticated):
        checked.check(issuer.token(key=shared, header={"kid": "shared", "alg": "HS256"}))


@pytest.mark.parametrize(
    "url", ["http://issuer.example", "file:///etc/passwd", "https://", "ftp://localhost", ""]
)
def test_an_issuer_without_https(url: str) -> None:
    with pytest.raises(InvalidInput):
        IssuerKeys(url)


def test_no_audience() -> None:
    with pytest.raises(InvalidInput):
        OpenId(OpenIdProvider(issuer="https://issuer.example", audience=("",)))
