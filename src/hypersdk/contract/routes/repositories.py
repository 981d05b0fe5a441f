"""Repositories that the daemon knows, and restore points in them."""

from __future__ import annotations

from hypersdk.contract.base import Page
from hypersdk.contract.estate import (
    KnownRepository,
    NewRepository,
    PointRecord,
    PruneOrder,
    RepositoryChange,
    StatisticsRecord,
    VerifyOrder,
)
from hypersdk.contract.jobs import SubmittedRecord
from hypersdk.contract.routing import Route
from hypersdk.model.accounts import Role

#: What places and repositories may answer: a conflict, damage, silence, no room.
_THEIRS = (409, 502, 504, 507)


def _work(word: str, summary: str, body: object = None) -> Route:
    return Route(
        name=f"{word}_repository",
        method="POST",
        path=f"/v1/repositories/{{name}}/{word}",
        role=Role.OPERATOR,
        scope="repositories",
        summary=summary,
        body=body,
        answer=SubmittedRecord,
        status=201,
        also=(200, 409),
        action=f"repository.{word}",
    )


ROUTES: tuple[Route, ...] = (
    Route(
        name="list_repositories",
        method="GET",
        path="/v1/repositories",
        role=Role.VIEWER,
        scope="repositories",
        summary="List repositories, by name",
        answer=Page[KnownRepository],
    ),
    Route(
        name="create_repository",
        method="POST",
        path="/v1/repositories",
        role=Role.ADMIN,
        scope="repositories",
        summary="Have a repository known by a name, and make it when asked to",
        body=NewRepository,
        answer=KnownRepository,
        status=201,
        also=_THEIRS,
        action="repository.create",
    ),
    Route(
        name="get_repository",
        method="GET",
        path="/v1/repositories/{name}",
        role=Role.VIEWER,
        scope="repositories",
        summary="A repository",
        answer=KnownRepository,
        also=(304,),
    ),
    Route(
        name="replace_repository",
        method="PUT",
        path="/v1/repositories/{name}",
        role=Role.ADMIN,
        scope="repositories",
        summary="Change a repository as a whole",
        body=RepositoryChange,
        answer=KnownRepository,
        also=(409, 412),
        action="repository.update",
    ),
    Route(
        name="delete_repository",
        method="DELETE",
        path="/v1/repositories/{name}",
        role=Role.ADMIN,
        scope="repositories",
        summary="Forget a repository; what is stored in it stays",
        status=204,
        also=(409, 412),
        action="repository.delete",
    ),
    Route(
        name="repository_statistics",
        method="GET",
        path="/v1/repositories/{name}/statistics",
        role=Role.VIEWER,
        scope="repositories",
        summary="What it holds",
        answer=StatisticsRecord,
        also=_THEIRS,
    ),
    _work("verify", "Check it, as a job", VerifyOrder),
    _work("prune", "Remove points that a policy does not keep, as a job", PruneOrder),
    _work("gc", "Reclaim what no point needs, as a job"),
    Route(
        name="list_points",
        method="GET",
        path="/v1/repositories/{name}/points",
        role=Role.VIEWER,
        scope="repositories",
        summary="List restore points, newest first",
        answer=Page[PointRecord],
        also=_THEIRS,
    ),
    Route(
        name="get_point",
        method="GET",
        path="/v1/repositories/{name}/points/{point}",
        role=Role.VIEWER,
        scope="repositories",
        summary="A restore point",
        answer=PointRecord,
        also=_THEIRS,
    ),
    Route(
        name="delete_point",
        method="DELETE",
        path="/v1/repositories/{name}/points/{point}",
        role=Role.ADMIN,
        scope="repositories",
        summary="Remove a restore point",
        status=204,
        also=_THEIRS,
        action="point.delete",
    ),
)
