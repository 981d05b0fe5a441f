"""What answers log-ins, users, tokens, tenants and the audit log.

An administrator of a tenant administers that tenant: users, tokens and entries of others are not
there, and nothing can be moved out of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Annotated, Any, TypeVar

from fastapi import Query, Request
from starlette.responses import StreamingResponse

from hypersdk.accounts.audit import AuditFilter, Head
from hypersdk.accounts.quotas import Quotas
from hypersdk.accounts.tickets import TICKET_SECONDS
from hypersdk.api.etags import Answered, IfMatch, tagged
from hypersdk.api.paging import Cursor, Limit, cursor_at, number_in, text_in
from hypersdk.api.security import (
    Origin,
    credentials_in,
    note_change,
    note_principal,
)
from hypersdk.api.services import Services, Who, WithServices
from hypersdk.contract.accounts import (
    AuditHead,
    AuditRecord,
    AuditVerdict,
    LoginRecord,
    LoginRequest,
    LogoutRecord,
    MeRecord,
    NewPassword,
    NewTenant,
    NewToken,
    NewTokenRecord,
    NewUser,
    OwnPassword,
    QuotaRecord,
    SessionsRecord,
    TenantChange,
    TenantRecord,
    TicketRecord,
    TokenRecord,
    UsageRecord,
    UserChange,
    UserRecord,
    WhoRecord,
)
from hypersdk.contract.base import Moment, Page
from hypersdk.model.accounts import LOCAL, Principal, Quota, Role, Tenant, Token, User
from hypersdk.model.errors import InvalidState, NotAllowed, NotFound

T = TypeVar("T")

# Log-ins.


def login(
    services: WithServices, request: Request, origin: Origin, body: LoginRequest
) -> LoginRecord:
    """Wrong ones make the next ones wait. The token goes into the header `Authorization: Bearer`
    of what follows."""
    token, secret = services.access.login(body.username, body.password, origin)
    user = services.users.get(token.user)
    note_principal(request, Principal(user.name, token.role, user.tenant, token.scopes, token.id))
    note_change(request, f"users/{user.name}", None, None)
    assert token.expires is not None
    return LoginRecord(token=secret, username=user.name, expires_at=token.expires)


def logout(services: WithServices, who: Who, request: Request) -> LogoutRecord:
    """A token that was made for longer is revoked as well, when it is the one that is sent."""
    secret = credentials_in(request.headers)
    if secret:
        services.access.logout(secret)
    note_change(request, f"users/{who.user}", None, None)
    return LogoutRecord(message="logged out")


def whoami(who: Who) -> WhoRecord:
    """As the daemon knows it by the credentials of this request."""
    return WhoRecord.model_validate(_who(who))


def get_me(services: WithServices, who: Who) -> MeRecord:
    """As the daemon knows it by the credentials of this request."""
    quota = used = None
    if who.tenant:
        quota = _quota_record(services.tenants.get(who.tenant).quota)
        used = _used(services, who.tenant)
    return MeRecord(**_who(who), token=who.token, quota=quota, used=used)


def set_own_password(
    services: WithServices, who: Who, request: Request, origin: Origin, body: OwnPassword
) -> None:
    """Wrong old ones count as failed log-ins."""
    _check_account(who)
    services.access.change_password(who.user, body.old, body.new, origin)
    note_change(request, f"users/{who.user}", None, None)


def end_own_sessions(services: WithServices, who: Who, request: Request) -> SessionsRecord:
    """Tokens that were made for longer stay."""
    ended = services.tokens.revoke_sessions(who.user)
    note_change(request, f"users/{who.user}", None, {"sessions": ended})
    return SessionsRecord(ended=ended)


def create_ticket(services: WithServices, who: Who) -> TicketRecord:
    """Browsers cannot send headers with these. It is good once, for half a minute."""
    return TicketRecord(ticket=services.access.tickets.issue(who), seconds=TICKET_SECONDS)


# Users.


def list_users(
    services: WithServices, who: Who, limit: Limit = 50, cursor: Cursor = ""
) -> Page[UserRecord]:
    """By name."""
    after = text_in(cursor, "users") or ""
    found = services.users.list(tenant=who.tenant or None, limit=limit + 1, after=after)
    return _page([_user(each) for each in found], limit, "users", lambda user: user.name)


def create_user(services: WithServices, who: Who, request: Request, body: NewUser) -> Answered:
    """With the first account the daemon is not open to this machine any more."""
    tenant = body.tenant or who.tenant
    _check_tenant(who, tenant)
    user = services.users.create(body.name, body.password, Role(body.role), tenant)
    record = _user(user)
    note_change(request, f"users/{user.name}", None, record.model_dump(mode="json"))
    return tagged(record, user.revision, at=f"/v1/users/{user.name}")


def get_user(services: WithServices, who: Who, name: str) -> Answered:
    """Its password is not shown, nor is any form of it."""
    user = services.users.get(name, tenant=who.tenant or None)
    return tagged(_user(user), user.revision)


def change_user(
    services: WithServices,
    who: Who,
    request: Request,
    name: str,
    body: UserChange,
    revision: IfMatch,
) -> Answered:
    """Holds at once, also for its tokens. The last administrator stays one."""
    before = services.users.get(name, tenant=who.tenant or None)
    if body.tenant is not None:
        _check_tenant(who, body.tenant)
    user = services.users.change(
        name,
        role=None if body.role is None else Role(body.role),
        tenant=body.tenant,
        enabled=body.enabled,
        revision=revision,
    )
    old, new = _user(before), _user(user)
    note_change(request, f"users/{name}", old.model_dump(mode="json"), new.model_dump(mode="json"))
    return tagged(new, user.revision)


def delete_user(
    services: WithServices, who: Who, request: Request, name: str, revision: IfMatch
) -> None:
    """Its jobs and schedules stay. The last administrator cannot be deleted."""
    user = services.users.get(name, tenant=who.tenant or None)
    services.users.delete(name, revision=revision)
    note_change(request, f"users/{name}", _user(user).model_dump(mode="json"), None)


def set_password(
    services: WithServices, who: Who, request: Request, name: str, body: NewPassword
) -> None:
    """Ten characters or more, and not one that is tried first."""
    services.users.get(name, tenant=who.tenant or None)
    services.users.set_password(name, body.password)
    note_change(request, f"users/{name}", None, None)


# Tokens.


def list_tokens(
    services: WithServices,
    who: Who,
    limit: Limit = 50,
    cursor: Cursor = "",
    user: Annotated[str, Query(max_length=128, description="Of whom; `*`: of everybody")] = "",
) -> Page[TokenRecord]:
    """Without their secrets."""
    wanted = user or who.user
    if wanted != who.user and who.role is not Role.ADMIN:
        raise NotAllowed(
            "tokens of others are shown to administrators only", hint="Leave out `user`."
        )
    found = services.tokens.list(
        None if wanted == "*" else wanted,
        tenant=who.tenant or None,
        limit=limit + 1,
        after=text_in(cursor, "tokens") or "",
    )
    return _page([_token(each) for each in found], limit, "tokens", lambda token: token.id)


def create_token(services: WithServices, who: Who, request: Request, body: NewToken) -> Answered:
    """It may do what its user may, or less, and no more than the token that asks for it."""
    name = body.user or who.user
    if name != who.user and who.role is not Role.ADMIN:
        raise NotAllowed("only administrators make tokens for others", hint="Leave out `user`.")
    if name == who.user:
        _check_account(who)
    user = services.users.get(name, tenant=who.tenant or None)
    token, secret = services.access.issue(
        who,
        user,
        name=body.name,
        role=None if body.role is None else Role(body.role),
        scopes=body.scopes,
        expires=body.expires,
    )
    record = _token(token)
    note_change(request, f"tokens/{token.id}", None, record.model_dump(mode="json"))
    return Answered(
        NewTokenRecord(**record.model_dump(), secret=secret),
        headers={"Location": f"/v1/tokens/{token.id}", "Cache-Control": "no-store"},
    )


def get_token(services: WithServices, who: Who, id: str) -> TokenRecord:
    """Its secret cannot be shown again: it is not kept."""
    return _token(_visible(services, who, id))


def revoke_token(services: WithServices, who: Who, request: Request, id: str) -> None:
    """It does not count from now on."""
    token = _visible(services, who, id)
    services.tokens.revoke(id)
    note_change(request, f"tokens/{id}", _token(token).model_dump(mode="json"), None)


# Tenants.


def list_tenants(
    services: WithServices, who: Who, limit: Limit = 50, cursor: Cursor = ""
) -> Page[TenantRecord]:
    """By name."""
    after = text_in(cursor, "tenants") or ""
    if who.tenant:
        found = [services.tenants.get(who.tenant)] if who.tenant > after else []
    else:
        found = list(services.tenants.list(limit=limit + 1, after=after))
    records = [_tenant(services, each) for each in found]
    return _page(records, limit, "tenants", lambda tenant: tenant.name)


def create_tenant(services: WithServices, who: Who, request: Request, body: NewTenant) -> Answered:
    """What belongs to a tenant is seen by its users and by administrators of none."""
    _check_of_none(who)
    tenant = services.tenants.create(
        body.name, description=body.description, quota=_quota(body.quota)
    )
    record = _tenant(services, tenant)
    note_change(request, f"tenants/{tenant.name}", None, record.model_dump(mode="json"))
    return tagged(record, tenant.revision, at=f"/v1/tenants/{tenant.name}")


def get_tenant(services: WithServices, who: Who, name: str) -> Answered:
    """Instances and bytes are as they were measured last."""
    tenant = _visible_tenant(services, who, name)
    return tagged(_tenant(services, tenant), tenant.revision)


def change_tenant(
    services: WithServices,
    who: Who,
    request: Request,
    name: str,
    body: TenantChange,
    revision: IfMatch,
) -> Answered:
    """A smaller quota takes nothing away; it only lets nothing be added."""
    before = _visible_tenant(services, who, name)
    _check_of_none(who)
    tenant = services.tenants.change(
        name,
        description=body.description,
        quota=None if body.quota is None else _quota(body.quota),
        revision=revision,
    )
    note_change(request, f"tenants/{name}", _essence(before), _essence(tenant))
    return tagged(_tenant(services, tenant), tenant.revision)


def delete_tenant(
    services: WithServices, who: Who, request: Request, name: str, revision: IfMatch
) -> None:
    """Its users and things are deleted, or given to others, before."""
    before = _visible_tenant(services, who, name)
    _check_of_none(who)
    services.tenants.delete(name, revision=revision)
    note_change(request, f"tenants/{name}", _essence(before), None)


# The audit log.


def list_audit(
    services: WithServices,
    who: Who,
    limit: Limit = 50,
    cursor: Cursor = "",
    user: Annotated[str, Query(max_length=128)] = "",
    action: Annotated[str, Query(max_length=128, description="`user.create`, or `user.*`")] = "",
    subject: Annotated[str, Query(max_length=256, description="Found in the subject")] = "",
    outcome: Annotated[str, Query(max_length=128)] = "",
    since: Annotated[Moment | None, Query()] = None,
    until: Annotated[Moment | None, Query()] = None,
) -> Page[AuditRecord]:
    """Administrators of a tenant see what its users did."""
    wanted = AuditFilter(
        user=user,
        tenant=who.tenant or None,
        action=action,
        subject=subject,
        outcome=outcome,
        since=since,
        until=until,
    )
    before = number_in(cursor, "audit")
    found = services.audit.list(wanted, before=before, limit=limit + 1)
    records = [AuditRecord.model_validate(asdict(each)) for each in found[:limit]]
    more = len(found) > limit
    return Page[AuditRecord](
        items=records, next=cursor_at("audit", records[-1].number) if more else None
    )


def verify_audit(
    services: WithServices,
    number: Annotated[
        int, Query(ge=0, lt=1 << 63, description="Of a head that was read earlier")
    ] = 0,
    digest: Annotated[str, Query(max_length=64, description="Of the same head")] = "",
) -> AuditVerdict:
    """Reads the whole log. Give a head of an earlier answer, kept elsewhere, and it is found out
    too when the whole log was written anew."""
    head = services.audit.head()
    broken = services.audit.verify(Head(number, digest) if number else None)
    return AuditVerdict(
        intact=broken is None,
        broken=broken,
        head=AuditHead(number=head.number, digest=head.digest),
    )


def export_audit(
    services: WithServices,
    who: Who,
    since: Annotated[Moment | None, Query()] = None,
    until: Annotated[Moment | None, Query()] = None,
) -> StreamingResponse:
    """Each line an entry with its digest, which docs/security.md says how to check."""
    wanted = AuditFilter(tenant=who.tenant or None, since=since, until=until)
    lines: Iterator[str] = services.audit.export(wanted)
    return StreamingResponse(lines, media_type="application/x-ndjson")


def _who(who: Principal) -> dict[str, Any]:
    return {
        "username": who.user,
        "role": who.role.value,
        "tenant": who.tenant,
        "scopes": sorted(who.scopes),
        "open": who is LOCAL,
    }


def _check_account(who: Principal) -> None:
    if who is LOCAL:
        raise InvalidState(
            "there are no accounts yet, so nobody is logged in",
            hint="Make one: hypervisord users add NAME --role admin, or POST /v1/users.",
        )


def _check_tenant(who: Principal, tenant: str) -> None:
    if who.tenant and tenant != who.tenant:
        raise NotAllowed(
            f"administrators of {who.tenant} administer its users only",
            hint=f"Leave out `tenant`, or give {who.tenant}.",
        )


def _check_of_none(who: Principal) -> None:
    if who.tenant:
        raise NotAllowed(
            "tenants are administered by administrators of no tenant",
            hint="Ask one of them.",
        )


def _visible(services: Services, who: Principal, id: str) -> Token:
    token = services.tokens.get(id, tenant=who.tenant or None)
    if token.user != who.user and who.role is not Role.ADMIN:
        raise NotFound(f"there is no token {id}", hint="List yours with GET /v1/tokens.")
    return token


def _visible_tenant(services: Services, who: Principal, name: str) -> Tenant:
    if not who.sees(name):
        raise NotFound(
            f"there is no tenant {name}", hint="List those that you see with GET /v1/tenants."
        )
    return services.tenants.get(name)


def _user(user: User) -> UserRecord:
    return UserRecord(**{**asdict(user), "role": user.role.value})


def _token(token: Token) -> TokenRecord:
    return TokenRecord(
        **{**asdict(token), "role": token.role.value, "scopes": sorted(token.scopes)}
    )


def _tenant(services: Services, tenant: Tenant) -> TenantRecord:
    return TenantRecord(
        name=tenant.name,
        description=tenant.description,
        quota=_quota_record(tenant.quota),
        used=_used(services, tenant.name),
        created=tenant.created,
        revision=tenant.revision,
    )


def _essence(tenant: Tenant) -> dict[str, Any]:
    return {"description": tenant.description, "quota": asdict(tenant.quota)}


def _used(services: Services, tenant: str) -> UsageRecord:
    return UsageRecord(**asdict(Quotas(services.database).used(tenant)))


def _quota(record: QuotaRecord) -> Quota:
    return Quota(**record.model_dump())


def _quota_record(quota: Quota) -> QuotaRecord:
    return QuotaRecord(**asdict(quota))


def _page(records: list[T], limit: int, of: str, key: Callable[[T], str]) -> Page[T]:
    chosen = records[:limit]
    more = len(records) > limit
    return Page(items=chosen, next=cursor_at(of, key(chosen[-1])) if more else None)


HANDLERS: dict[str, Callable[..., Any]] = {
    handler.__name__: handler
    for handler in (
        login,
        logout,
        whoami,
        get_me,
        set_own_password,
        end_own_sessions,
        create_ticket,
        list_users,
        create_user,
        get_user,
        change_user,
        delete_user,
        set_password,
        list_tokens,
        create_token,
        get_token,
        revoke_token,
        list_tenants,
        create_tenant,
        get_tenant,
        change_tenant,
        delete_tenant,
        list_audit,
        verify_audit,
        export_audit,
    )
}
