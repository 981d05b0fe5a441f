"""Tokens of an OpenID provider: who it says somebody is, and what that means here.

The provider's word counts for its own users only: name, role and tenant come from claims of tokens
that it signed for us. What such a user may do is read anew from every token.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NoReturn

from joserfc import jws, jwt
from joserfc.errors import JoseError

from hypersdk.accounts.issuer import IssuerKeys, Key
from hypersdk.accounts.names import name_of_claim
from hypersdk.model.accounts import Role
from hypersdk.model.errors import InvalidInput, NotAllowed, NotAuthenticated

#: Signatures that are taken. None with a shared secret: then whoever checks could also sign.
ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA",
    "Ed25519",
)  # fmt: skip
#: Seconds by which clocks may differ.
LEEWAY_SECONDS = 60
#: Characters of a token.
_LONGEST = 16 << 10
#: Kinds of tokens that say who asks; one that ends a session (``logout+jwt``) does not.
_KINDS = frozenset({"jwt", "at+jwt", "application/at+jwt"})
#: Three parts of base64url, the first of which is a JSON object.
_FORM = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")
#: In the claim of tenants: of none, sees everything its role allows.
ANY_TENANT = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIdProvider:
    """An issuer and how its claims are read. Claims inside others have dots in their names
    (``realm_access.roles``)."""

    issuer: str
    #: A token must be meant for one of these.
    audience: tuple[str, ...]
    #: What never changes and is never given to another person.
    user_claim: str = "sub"
    role_claim: str = "roles"
    #: Value of that claim → role. Whoever has none of them may do nothing.
    roles: Mapping[str, Role] = field(default_factory=dict)
    #: Empty: its users are of no tenant.
    tenant_claim: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token says its bearer is."""

    name: str
    role: Role
    tenant: str
    issuer: str
    expires: datetime


class OpenId:
    """Safe in threads."""

    def __init__(
        self,
        provider: OpenIdProvider,
        keys: IssuerKeys | None = None,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Raises InvalidInput for an issuer without HTTPS, or no audience."""
        if not any(provider.audience):
            raise InvalidInput(
                "auth.oidc names no audience", hint="Set auth.oidc.client_id or audience."
            )
        self.provider = provider
        self._keys = keys or IssuerKeys(provider.issuer)
        self._clock = clock

    @staticmethod
    def resembles(secret: str) -> bool:
        """Whether it may be a token of an OpenID provider at all."""
        return len(secret) <= _LONGEST and _FORM.fullmatch(secret) is not None

    def check(self, token: str) -> Identity:
        """Raises NotAuthenticated for a token that does not count, NotAllowed for a user without
        a role or tenant."""
        try:
            claims = self._claims(token)
            expires = datetime.fromtimestamp(claims["exp"], UTC)
        except (JoseError, ValueError, TypeError, OverflowError, OSError) as error:
            _refuse(f"the token of the OpenID provider does not count: {error}")
        name = _claim(claims, self.provider.user_claim)
        if not isinstance(name, str) or not name:
            _refuse(f"the token has no claim {self.provider.user_claim}")
        return Identity(
            name=name_of_claim(name),
            role=self._role(claims),
            tenant=self._tenant(claims),
            issuer=self.provider.issuer,
            expires=expires,
        )

    def _claims(self, token: str) -> Mapping[str, Any]:
        header = jws.extract_compact(token.encode()).headers()
        if str(header.get("typ", "JWT")).lower() not in _KINDS:
            raise ValueError("it is of another kind")
        id = header.get("kid")
        keys = self._keys.candidates(id if isinstance(id, str) else None)
        rules = jwt.JWTClaimsRegistry(
            now=int(self._clock()),
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": self.provider.issuer},
            aud={"essential": True, "values": [each for each in self.provider.audience if each]},
            exp={"essential": True},
        )
        claims = _decoded(token, keys)
        rules.validate(claims)
        return claims

    def _role(self, claims: Mapping[str, Any]) -> Role:
        found = _claim(claims, self.provider.role_claim)
        names = found if isinstance(found, list) else [found]
        roles = [
            self.provider.roles[name]
            for name in names
            if isinstance(name, str) and name in self.provider.roles
        ]
        if not roles:
            raise NotAllowed(
                f"{self.provider.issuer} gives this user no role here",
                hint=f"auth.oidc.roles says which values of {self.provider.role_claim} are roles.",
            )
        return max(roles, key=list(Role).index)

    def _tenant(self, claims: Mapping[str, Any]) -> str:
        if not self.provider.tenant_claim:
            return ""
        found = _claim(claims, self.provider.tenant_claim)
        if isinstance(found, list) and len(found) == 1:
            (found,) = found
        if not isinstance(found, str) or not found:
            # Of no tenant would mean to see what is everybody's.
            raise NotAllowed(
                f"the token names no tenant in {self.provider.tenant_claim}",
                hint=f"Have the provider send one tenant, or {ANY_TENANT!r} for users of none.",
            )
        return "" if found == ANY_TENANT else found


def _decoded(token: str, keys: tuple[Key, ...]) -> dict[str, Any]:
    """Its claims if one of the keys signed it. Raises JoseError."""
    last: Exception | None = None
    for key in keys:
        try:
            return jwt.decode(token, key, algorithms=list(ALGORITHMS)).claims
        except (JoseError, ValueError, TypeError) as error:
            last = error
    raise last or ValueError("it names no key of the provider")


def _claim(claims: Mapping[str, Any], name: str) -> Any:
    """Under its whole name, or inside others."""
    if name in claims:
        return claims[name]
    found: Any = claims
    for step in name.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(step)
    return found


def _refuse(message: str) -> NoReturn:
    raise NotAuthenticated(message, hint="Log in at the provider again, and send the new token.")
