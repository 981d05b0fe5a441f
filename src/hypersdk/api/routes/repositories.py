"""Repositories that the daemon knows, and restore points in them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import Query, Request

from hypersdk.api.etags import Answered, IfMatch, tagged
from hypersdk.api.paging import Cursor, Limit, cursor_at, part, text_in
from hypersdk.api.records.estate import budget_of, point_record, repository_record
from hypersdk.api.security import note_change
from hypersdk.api.services import Services, Who, WithServices
from hypersdk.api.submitting import submit_one
from hypersdk.config.secrets import resolve
from hypersdk.contract.base import Moment, Page
from hypersdk.contract.estate import (
    KnownRepository,
    NewRepository,
    PointRecord,
    PruneOrder,
    RepositoryChange,
    StatisticsRecord,
    VerifyOrder,
)
from hypersdk.contract.jobs import NewJobRecord, SubmittedRecord
from hypersdk.model.accounts import Principal
from hypersdk.model.errors import InvalidInput, PointNotFound
from hypersdk.model.estate import RepositoryRecord
from hypersdk.model.points import RestorePoint
from hypersdk.repository.keys import Protect
from hypersdk.repository.repository import Repository
from hypersdk.repository.store.open import open_store

_Word = Annotated[str, Query(max_length=256)]
_Moment = Annotated[Moment | None, Query()]


def list_repositories(
    services: WithServices, who: Who, limit: Limit = 50, cursor: Cursor = ""
) -> Page[KnownRepository]:
    """What they hold, see their statistics."""
    found = services.repositories.list(tenant=who.tenant or None)
    items, following = part(
        found, lambda each: each.name, of="repositories", limit=limit, after=cursor
    )
    return Page[KnownRepository](items=[repository_record(each) for each in items], next=following)


def create_repository(
    services: WithServices, who: Who, request: Request, body: NewRepository
) -> Answered:
    """With `create`, it is made at its place first; what is there already is not touched."""
    trusted = not who.tenant
    made = services.repositories.create(
        body.name, tenant=who.tenant, trusted=trusted, **_fields(body)
    )
    if body.create:
        try:
            Repository.create(open_store(body.location, create=True), _protect(body)).close()
        except BaseException:
            services.repositories.delete(made.name)
            raise
    note_change(request, f"repositories/{made.name}", None, _seen(made))
    return tagged(repository_record(made), made.revision, at=f"/v1/repositories/{made.name}")


def get_repository(services: WithServices, who: Who, name: str) -> Answered:
    """As it was defined."""
    found = _repository(services, who, name)
    return tagged(repository_record(found), found.revision)


def replace_repository(
    services: WithServices,
    who: Who,
    request: Request,
    name: str,
    body: RepositoryChange,
    seen: IfMatch,
) -> Answered:
    """What is left out becomes what it is by default. Running jobs go on with what it was."""
    before = _repository(services, who, name)
    after = services.repositories.change(
        name, revision=seen, trusted=not who.tenant, **_fields(body)
    )
    note_change(request, f"repositories/{name}", _seen(before), _seen(after))
    return tagged(repository_record(after), after.revision)


def delete_repository(
    services: WithServices, who: Who, request: Request, name: str, seen: IfMatch
) -> None:
    """Refused while jobs use it."""
    before = _repository(services, who, name)
    services.repositories.delete(name, revision=seen)
    note_change(request, f"repositories/{name}", _seen(before), None)


def repository_statistics(services: WithServices, who: Who, name: str) -> StatisticsRecord:
    """Counted now, which takes a while in large ones."""
    _repository(services, who, name)
    with services.connections.using_repository(name) as repository:
        found = repository.statistics()
        return StatisticsRecord(
            instances=found.instances,
            points=found.points,
            virtual=found.virtual,
            packs=found.packs,
            stored=found.stored,
            chunks=found.chunks,
            cache=found.cache,
            encrypted=repository.encrypted,
        )


def verify_repository(
    services: WithServices, who: Who, request: Request, name: str, body: VerifyOrder
) -> Answered:
    """Answers with the id of the job."""
    return _work(services, who, request, "verify", name, body.model_dump(exclude_defaults=True))


def prune_repository(
    services: WithServices, who: Who, request: Request, name: str, body: PruneOrder
) -> Answered:
    """Answers with the id of the job."""
    return _work(services, who, request, "prune", name, body.model_dump(exclude_defaults=True))


def gc_repository(services: WithServices, who: Who, request: Request, name: str) -> Answered:
    """Answers with the id of the job."""
    return _work(services, who, request, "gc", name, {})


def list_points(
    services: WithServices,
    who: Who,
    name: str,
    instance: _Word = "",
    since: _Moment = None,
    until: _Moment = None,
    limit: Limit = 50,
    cursor: Cursor = "",
) -> Page[PointRecord]:
    """Those of one instance, or of a time, when asked for."""
    _repository(services, who, name)
    before = text_in(cursor, "points")
    with services.connections.using_repository(name) as repository:
        found = repository.points(instance or None)
    chosen = [
        point
        for point in sorted(found, key=_order, reverse=True)
        if (since is None or point.time >= since)
        and (until is None or point.time < until)
        and (before is None or _order(point) < before)
    ]
    items = chosen[:limit]
    return Page[PointRecord](
        items=[point_record(point) for point in items],
        next=cursor_at("points", _order(items[-1])) if len(chosen) > limit else None,
    )


def get_point(services: WithServices, who: Who, name: str, point: str) -> PointRecord:
    """By its id, or the beginning of it that no other has."""
    _repository(services, who, name)
    with services.connections.using_repository(name) as repository:
        return point_record(_point(repository, point))


def delete_point(services: WithServices, who: Who, request: Request, name: str, point: str) -> None:
    """Not one that is pinned or locked. What only it needs is reclaimed later."""
    _repository(services, who, name)
    with services.connections.using_repository(name) as repository:
        found = _point(repository, point)
        repository.remove(found, f"by {who.user}")
    subject = f"repositories/{name}/points/{found.id}"
    note_change(request, subject, point_record(found).model_dump(mode="json"), None)


def _repository(services: Services, who: Principal, name: str) -> RepositoryRecord:
    return services.repositories.get(name, tenant=who.tenant or None)


def _point(repository: Repository, reference: str) -> RestorePoint:
    # Only by id: a name would let a typing mistake delete the newest point of an instance.
    found = [each for each in repository.points() if each.id.startswith(reference.upper())]
    if len(found) != 1:
        many = "several begin so" if found else "there is none"
        raise PointNotFound(
            f"no restore point has the id {reference}: {many}",
            hint="List them, and give the whole id.",
        )
    return found[0]


def _work(
    services: Services,
    who: Principal,
    request: Request,
    kind: str,
    name: str,
    order: dict[str, object],
) -> Answered:
    _repository(services, who, name)
    wanted = NewJobRecord(kind=kind, request={"repository": name, **order})
    made = submit_one(services, who, wanted)
    note_change(request, f"repositories/{name}", None, {"job": made.id})
    record = SubmittedRecord(id=made.id, new=made.new)
    return Answered(record, 201 if made.new else 200, {"Location": f"/v1/jobs/{made.id}"})


def _fields(body: RepositoryChange) -> dict[str, Any]:
    return {
        "location": body.location,
        "description": body.description,
        "key": body.key,
        "key_file": body.key_file,
        "identity": body.identity,
        "budget": budget_of(body.budget),
    }


def _protect(body: NewRepository) -> Protect:
    if body.identity:
        raise InvalidInput(
            "body.identity: a repository is not made by the key that reads it",
            hint="Make it with hypersdk repo init --encrypt recipient=KEY, then let it be known.",
        )
    if body.key:
        return Protect.passphrase(resolve(body.key))
    return Protect.key_file(Path(body.key_file)) if body.key_file else Protect.none()


def _seen(found: RepositoryRecord) -> dict[str, object]:
    """For the audit log. The name of a key's reference is no secret, but of nobody's business."""
    return repository_record(found).model_dump(
        mode="json", include={"name", "location", "description", "budget"}
    )


def _order(point: RestorePoint) -> str:
    """Sorts points by their time."""
    return f"{point.time:%Y%m%dT%H%M%S.%f} {point.id}"


HANDLERS = {
    "list_repositories": list_repositories,
    "create_repository": create_repository,
    "get_repository": get_repository,
    "replace_repository": replace_repository,
    "delete_repository": delete_repository,
    "repository_statistics": repository_statistics,
    "verify_repository": verify_repository,
    "prune_repository": prune_repository,
    "gc_repository": gc_repository,
    "list_points": list_points,
    "get_point": get_point,
    "delete_point": delete_point,
}
