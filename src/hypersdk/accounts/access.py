"""Who makes a request: credentials become a `Principal`, or an error.

As long as there are no accounts and no OpenID provider, and the daemon listens to this machine
only, everybody on it is `LOCAL` (`Access.open`). With the first account, credentials are needed.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NoReturn

from hypersdk.accounts.oidc import Identity, OpenId
from hypersdk.accounts.rates import RateLimits
from hypersdk.accounts.throttle import LoginThrottle
from hypersdk.accounts.tickets import Tickets
from hypersdk.accounts.tokens import SESSION, TokenStore
from hypersdk.accounts.users import UserStore
from hypersdk.model.accounts import LOCAL, Principal, Role, Token, User
from hypersdk.model.errors import (
    AlreadyExists,
    InvalidInput,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    TooManyRequests,
)

_log = logging.getLogger(__name__)

#: Scopes that every token has: who it is, and its own end.
EVERY_TOKEN = frozenset({"login", "me"})
#: Seconds for which a principal is remembered: how long a token that another process revoked
#: still counts. One that this process revoked ends at once.
REMEMBERED_SECONDS = 3.0
#: How long a log-in lasts unless it is set.
SESSION_HOURS = 24.0
#: Wrong credentials from one address: so many at once, then one per second.
_WRONG_BURST = 60.0
#: Principals remembered.
_KEPT = 10_000
#: What to do without credentials. Written so that no redaction takes it for a secret itself.
HOW = "Send a token as `Bearer TOKEN` in the header Authorization; POST /api/login gives one."


@dataclass(frozen=True, slots=True)
class Credentials:
    """What came with a request; both empty: nothing."""

    #: A token, of ours or of the OpenID provider.
    secret: str = ""
    #: See `tickets`.
    ticket: str = ""

    def __repr__(self) -> str:
        return "Credentials(***)"


class Access:
    """Safe in threads."""

    def __init__(
        self,
        users: UserStore,
        tokens: TokenStore,
        *,
        open_loopback: bool,
        openid: OpenId | None = None,
        hosts: Collection[str] = (),
        origins: Collection[str] = (),
        session_hours: float = SESSION_HOURS,
        token_days: int | None = None,
        rate: float = 0.0,
        throttle: LoginThrottle | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``open_loopback``: whether the daemon listens to this machine only, and may be open.

        ``hosts``, ``origins``: names under which it is called besides loopback, and web pages that
        may call it. ``token_days``: how long tokens live at most. ``rate``: requests per second
        with one token, 0 for no bound.
        """
        self._users = users
        self._tokens = tokens
        self.open_loopback = open_loopback
        self.openid = openid
        self.hosts = frozenset(host.lower() for host in hosts)
        self.origins = frozenset(origin.lower().rstrip("/") for origin in origins)
        self._session = timedelta(hours=session_hours)
        self.longest = None if token_days is None else timedelta(days=token_days)
        self.rates = RateLimits(rate, clock=clock)
        self.tickets = Tickets(clock)
        self._throttle = throttle or LoginThrottle(clock)
        self._wrong = RateLimits(1.0, _WRONG_BURST, clock=clock)
        self._remembered = _Remembered(clock)
        users.watchers.append(self._remembered.forget)
        tokens.watchers.append(self._remembered.forget)

    def open(self) -> bool:
        """Whether callers on this machine need no credentials."""
        seen = self.open_seen()
        return not self._users.any() if seen is None else seen

    def open_seen(self) -> bool | None:
        """The same when it is known without asking the database."""
        if not self.open_loopback or self.openid is not None:
            return False
        some = self._users.any_seen()
        return None if some is None else not some

    def recall(self, credentials: Credentials) -> Principal | None:
        """Whoever `authenticate` found a moment ago, without asking the database; None: ask it."""
        if self.open_seen():
            return LOCAL
        if credentials.ticket or not credentials.secret:
            return None
        return self._remembered.get(credentials.secret)

    def authenticate(self, credentials: Credentials, origin: str) -> Principal:
        """Raises NotAuthenticated, NotAllowed for a known user that may do nothing,
        TooManyRequests after many wrong ones from one address, DatabaseUnavailable."""
        if self.open():
            return LOCAL
        if not credentials.secret and not credentials.ticket:
            raise NotAuthenticated("this needs credentials", hint=HOW)
        if credentials.ticket:
            found = self.tickets.redeem(credentials.ticket)
            if found is None or not self.valid(found):
                self._refuse(origin, "the ticket was used, is too old or was never given")
            return found
        if self.openid is not None and OpenId.resembles(credentials.secret):
            return self._vouched_for(self.openid, credentials.secret, origin)
        seen = self._remembered.changes
        pair = self._tokens.find(credentials.secret)
        if pair is None:
            self._refuse(origin, "the token is unknown, expired or revoked")
        token, user = pair
        principal = Principal(
            user.name, _lesser(token.role, user.role), user.tenant, token.scopes, token.id
        )
        self._remembered.put(credentials.secret, principal, self._left(token.expires), seen)
        return principal

    def valid(self, principal: Principal) -> bool:
        """Whether somebody who was let in still would be; for what goes on for long, such as
        event streams."""
        if principal == LOCAL:
            return self.open()
        try:
            user = self._users.get(principal.user)
            token = self._tokens.get(principal.token) if principal.token else None
        except NotFound:
            return False
        ended = token is not None and self._left(token.expires) <= 0
        return user.enabled and user.tenant == principal.tenant and not ended

    def login(self, name: str, password: str, origin: str) -> tuple[Token, str]:
        """A session and its secret. Raises NotAuthenticated, as late for a user who is not there
        as for a wrong password; TooManyRequests after several failures."""
        self._throttle.enter(name, origin)
        user = self._users.check_password(name, password)
        if user is None:
            _log.warning("a log-in failed", extra={"user": name[:128], "origin": origin})
            raise NotAuthenticated(
                "the user name or the password is wrong",
                hint="Check both; an administrator can set a new password.",
            )
        self._throttle.succeeded(name, origin)
        expires = self._tokens.now() + self._session
        return self._tokens.create(user, name="log-in", expires=expires, kind=SESSION)

    def change_password(self, name: str, old: str, new: str, origin: str) -> None:
        """For a user who knows the old one. Raises as `login` and `UserStore.set_password` do."""
        self._throttle.enter(name, origin)
        if self._users.check_password(name, old) is None:
            raise NotAuthenticated("the old password is wrong", hint="Type it again.")
        self._throttle.succeeded(name, origin)
        self._users.set_password(name, new)

    def logout(self, secret: str) -> None:
        """End the session of this secret; nothing happens when it has ended already."""
        self._tokens.revoke_secret(secret)

    def issue(
        self,
        principal: Principal,
        user: User,
        *,
        name: str,
        role: Role | None = None,
        scopes: Collection[str] = (),
        expires: datetime | None = None,
    ) -> tuple[Token, str]:
        """A token for ``user`` on the word of ``principal``. A token that was not made by a log-in
        makes no other that could do more, or lives longer, than itself.

        Raises NotAllowed, InvalidInput.
        """
        role = role or _lesser(user.role, principal.role)
        if not principal.role.covers(role):
            raise NotAllowed(
                f"you act as {principal.role.value}, the token cannot be {role.value}",
                hint=f"Ask for {principal.role.value} or less.",
            )
        if principal.scopes and (not scopes or not principal.scopes.issuperset(scopes)):
            raise NotAllowed(
                "the token would have scopes that yours lacks",
                hint=f"Ask for some of: {', '.join(sorted(principal.scopes))}.",
            )
        expires = self._bounded(principal, expires)
        return self._tokens.create(user, name=name, role=role, scopes=scopes, expires=expires)

    def _bounded(self, principal: Principal, expires: datetime | None) -> datetime | None:
        if self.longest is not None:
            last = self._tokens.now() + self.longest
            if expires is not None and expires > last:
                raise InvalidInput(
                    f"a token lives {self.longest.days} days at most",
                    hint="Give an earlier end, or none for the longest life.",
                )
            expires = expires or last
        own = self._tokens.get(principal.token) if principal.token else None
        if own is not None and own.kind != SESSION and own.expires is not None:
            if expires is not None and expires > own.expires:
                raise NotAllowed(
                    "the token would outlive yours", hint="Log in, or give an earlier end."
                )
            return expires or own.expires
        return expires

    def _vouched_for(self, openid: OpenId, secret: str, origin: str) -> Principal:
        seen = self._remembered.changes
        try:
            identity = openid.check(secret)
        except NotAuthenticated as error:
            self._refuse(origin, error.message, error.hint)
        user = self._account(identity)
        principal = Principal(user.name, user.role, user.tenant)
        self._remembered.put(secret, principal, self._left(identity.expires), seen)
        return principal

    def _account(self, identity: Identity) -> User:
        """The account of a user of an issuer, made at the first request: it can be disabled, have
        tokens, and be found in the audit log."""
        try:
            user = self._users.get(identity.name)
        except NotFound:
            try:
                user = self._users.create(
                    identity.name, None, identity.role, identity.tenant, identity.issuer
                )
            except AlreadyExists:
                user = self._users.get(identity.name)
        if user.issuer != identity.issuer:
            raise NotAllowed(
                f"the name {user.name} belongs to an account of {user.issuer}",
                hint="Rename that account, or take another claim for names (auth.oidc.user_claim).",
            )
        if not user.enabled:
            raise NotAuthenticated(
                f"the user {user.name} is disabled", hint="Ask an administrator."
            )
        if (user.role, user.tenant) != (identity.role, identity.tenant):
            user = self._users.change(user.name, role=identity.role, tenant=identity.tenant)
        return user

    def _left(self, expires: datetime | None) -> float:
        """Seconds."""
        if expires is None:
            return float("inf")
        return (expires - self._tokens.now()).total_seconds()

    def _refuse(self, origin: str, message: str, hint: str = HOW) -> NoReturn:
        try:
            self._wrong.take(origin)
        except TooManyRequests as error:
            raise TooManyRequests(
                "too many wrong credentials", hint="Correct the token.", after=error.after
            ) from None
        raise NotAuthenticated(message, hint=hint)


class _Remembered:
    """Principals by the digests of their secrets, for a moment."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._one = threading.Lock()
        self._found: OrderedDict[bytes, tuple[Principal, float]] = OrderedDict()
        #: How often something was revoked or changed.
        self.changes = 0

    def get(self, secret: str) -> Principal | None:
        found = self._found.get(_digest(secret))
        if found is None or found[1] < self._clock():
            return None
        return found[0]

    def put(self, secret: str, principal: Principal, seconds: float, seen: int) -> None:
        """Unless something changed since ``changes`` was ``seen``: it may be this one."""
        with self._one:
            if self.changes != seen:
                return
            until = self._clock() + min(seconds, REMEMBERED_SECONDS)
            self._found[_digest(secret)] = (principal, until)
            while len(self._found) > _KEPT:
                self._found.popitem(last=False)

    def forget(self, user: str) -> None:
        with self._one:
            self.changes += 1
            for digest in [key for key, (who, _) in self._found.items() if who.user == user]:
                del self._found[digest]


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "replace")).digest()


def _lesser(one: Role, other: Role) -> Role:
    return one if other.covers(one) else other
