"""Repositories over HTTP."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from hypersdk.flows.backup import backup_image
from tests.api.serving import Daemon


@pytest.fixture(scope="module")
def main(daemon: Daemon, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository ``main``, made through the API, with two points of one image."""
    place = tmp_path_factory.mktemp("repository") / "main"
    with daemon.client() as client:
        asked = {"name": "main", "location": str(place), "create": True}
        assert client.post("/v1/repositories", json=asked).status_code == 201
    image = place.parent / "disk.raw"
    with daemon.services.connections.using_repository("main") as repository:
        for content in (b"a", b"b"):
            image.write_bytes(content * (1 << 20))
            backup_image(repository, image, "disk")
    return place


def test_one_is_made_read_changed_and_forgotten(client: httpx.Client, tmp_path: Path) -> None:
    asked = {"name": "other", "location": str(tmp_path / "other")}
    made = client.post("/v1/repositories", json=asked)
    assert made.status_code == 201
    assert not (tmp_path / "other").exists()
    at, tag = made.headers["Location"], made.headers["ETag"]
    lost = client.get(f"{at}/statistics")  # nothing is there
    assert (lost.status_code, "does not exist" in lost.json()["detail"]) == (503, True)
    change = {"location": asked["location"], "description": "second copy"}
    changed = client.put(at, json=change, headers={"If-Match": tag})
    assert changed.json()["description"] == "second copy"
    assert client.put(at, json=change, headers={"If-Match": tag}).status_code == 412
    assert client.delete(at).status_code == 204
    assert client.get(at).status_code == 404


def test_one_that_cannot_be_made_is_not_known(client: httpx.Client, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    asked = {"name": "broken", "location": str(tmp_path / "file"), "create": True}
    assert client.post("/v1/repositories", json=asked).status_code >= 400
    assert client.get("/v1/repositories/broken").status_code == 404


@pytest.mark.usefixtures("main")
def test_points_are_listed_newest_first_and_read(client: httpx.Client) -> None:
    first = client.get("/v1/repositories/main/points", params={"limit": 1}).json()
    rest = client.get(
        "/v1/repositories/main/points", params={"cursor": first["next"], "instance": "disk"}
    ).json()
    points = first["items"] + rest["items"]
    assert len(points) == 2
    assert points[0]["time"] > points[1]["time"]
    one = client.get(f"/v1/repositories/main/points/{points[0]['id']}").json()
    assert one == points[0]
    assert one["disks"][0]["size"] == 1 << 20
    none = client.get("/v1/repositories/main/points", params={"instance": "other"}).json()
    assert none == {"items": [], "next": None}
    assert client.get("/v1/repositories/main/points/disk").status_code == 404


@pytest.mark.usefixtures("main")
def test_a_point_is_removed_by_its_id_only(client: httpx.Client) -> None:
    points = client.get("/v1/repositories/main/points").json()["items"]
    assert client.delete("/v1/repositories/main/points/0").status_code == 404
    at = f"/v1/repositories/main/points/{points[-1]['id']}"
    assert client.delete(at).status_code == 204
    assert client.get(at).status_code == 404


@pytest.mark.usefixtures("main")
def test_what_it_holds(client: httpx.Client) -> None:
    found = client.get("/v1/repositories/main/statistics").json()
    assert (found["instances"], found["encrypted"]) == (1, False)


@pytest.mark.usefixtures("main")
def test_work_on_it_is_a_job(client: httpx.Client) -> None:
    for word, order in [
        ("verify", {"level": "stored"}),
        ("prune", {"keep": {"last": 3}}),
        ("gc", None),
    ]:
        answer = client.post(f"/v1/repositories/main/{word}", json=order)
        assert answer.status_code == 201, answer.text
        job = client.get(answer.headers["Location"]).json()
        assert (job["kind"], job["request"]["repository"]) == (word, "main")
    assert client.post("/v1/repositories/none/gc").status_code == 404
