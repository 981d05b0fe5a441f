"""Log-ins, users, tokens, tenants and the audit log, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import sqlalchemy as sa

from hypersdk.contract.routes import accounts
from hypersdk.database.tables import audit as audit_table
from hypersdk.model.accounts import Role
from tests.api.serving import Daemon, serving

PASSWORD = "four random words here"


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    with serving(tmp_path, routes=accounts.ROUTES) as found:
        yield found


@pytest.fixture
def root(daemon: Daemon) -> Iterator[httpx.Client]:
    with daemon.client(daemon.account("root", Role.ADMIN)) as client:
        yield client


@pytest.fixture
def boss(daemon: Daemon, root: httpx.Client) -> Iterator[httpx.Client]:
    """The administrator of a tenant."""
    with daemon.client(daemon.account("boss", Role.ADMIN, "acme")) as client:
        yield client


def ok(answer: httpx.Response, status: int = 200) -> Any:
    assert answer.status_code == status, answer.text
    return answer.json() if answer.content else None


# Log-ins.


def test_from_an_open_daemon_to_a_session(daemon: Daemon) -> None:
    with daemon.client() as client:
        assert ok(client.get("/api/whoami"))["open"] is True
        assert client.put("/v1/me/password", json={"old": "", "new": PASSWORD}).status_code == 409
        first = {"name": "root", "password": PASSWORD, "role": "admin"}
        assert ok(client.post("/v1/users", json=first), 201)["role"] == "admin"
        assert client.get("/api/whoami").status_code == 401
        wrong = client.post("/api/login", json={"username": "root", "password": "wrong"})
        assert wrong.status_code == 401
        assert set(wrong.json()) == {"error", "hint", "timestamp"}
        right = {"username": "root", "password": PASSWORD}
        session = ok(client.post("/api/login", json=right))
    assert set(session) == {"token", "username", "expires_at"}
    with daemon.client(session["token"]) as client:
        assert ok(client.get("/api/whoami")) == {
            "username": "root",
            "role": "admin",
            "tenant": "",
            "scopes": [],
            "open": False,
        }
        ok(client.post("/api/logout"))
        assert client.get("/api/whoami").status_code == 401


def test_the_first_account_is_an_admins(daemon: Daemon) -> None:
    with daemon.client() as client:
        answer = client.post("/v1/users", json={"name": "eve", "password": PASSWORD})
        assert answer.status_code == 409
        ok(client.get("/api/whoami"))


def test_log_ins_are_noted_and_show_no_password(daemon: Daemon, root: httpx.Client) -> None:
    ok(root.post("/v1/users", json={"name": "eve", "password": PASSWORD}), 201)
    with daemon.client() as client:
        ok(client.post("/api/login", json={"username": "eve", "password": PASSWORD}))
        client.post("/api/login", json={"username": "eve", "password": "wrong wrong wrong"})
    entries = ok(root.get("/v1/audit", params={"action": "session.*"}))["items"]
    assert [(each["user"], each["outcome"]) for each in entries] == [("eve", "done")]
    assert PASSWORD not in root.get("/v1/audit").text


def test_wrong_log_ins_wait(daemon: Daemon, root: httpx.Client) -> None:
    with daemon.client() as client:
        statuses = [
            client.post("/api/login", json={"username": "root", "password": "wrong"}).status_code
            for _ in range(8)
        ]
    assert statuses[0] == 401
    assert statuses[-1] == 429


def test_me(daemon: Daemon, root: httpx.Client, boss: httpx.Client) -> None:
    me = ok(root.get("/v1/me"))
    assert (me["username"], me["quota"]) == ("root", None)
    ok(root.patch("/v1/tenants/acme", json={"quota": {"instances": 5}}))
    me = ok(boss.get("/v1/me"))
    assert me["tenant"] == "acme"
    assert me["quota"] == {"instances": 5, "bytes": None, "jobs": None}
    assert me["used"] == {"instances": 0, "bytes": 0, "jobs": 0}


def test_ones_own_password_and_sessions(daemon: Daemon, root: httpx.Client) -> None:
    ok(root.post("/v1/users", json={"name": "eve", "password": PASSWORD}), 201)
    new = "another four random words"

    def session(password: str) -> httpx.Client:
        wanted = {"username": "eve", "password": password}
        with daemon.client() as client:
            return daemon.client(ok(client.post("/api/login", json=wanted))["token"])

    with session(PASSWORD) as one, session(PASSWORD) as two:
        assert one.put("/v1/me/password", json={"old": "no", "new": new}).status_code == 401
        assert one.put("/v1/me/password", json={"old": PASSWORD, "new": "short"}).status_code == 400
        ok(one.put("/v1/me/password", json={"old": PASSWORD, "new": new}), 204)
        assert [each.get("/v1/me").status_code for each in (one, two)] == [401, 401]
    with session(new) as one, session(new) as two:
        assert ok(one.delete("/v1/me/sessions")) == {"ended": 2}
        assert two.get("/v1/me").status_code == 401


def test_a_ticket(daemon: Daemon, root: httpx.Client) -> None:
    ticket = ok(root.post("/v1/tickets"), 201)
    assert ticket["seconds"] == 30
    principal = daemon.services.access.tickets.redeem(ticket["ticket"])
    assert principal is not None
    assert principal.user == "root"


# Users.


def test_the_life_of_a_user(daemon: Daemon, root: httpx.Client) -> None:
    made = root.post("/v1/users", json={"name": "eve@example.org", "password": PASSWORD})
    assert ok(made, 201)["role"] == "viewer"
    place = made.headers["Location"]
    assert place == "/v1/users/eve@example.org"
    tag = root.get(place).headers["ETag"]
    assert root.get(place, headers={"If-None-Match": tag}).status_code == 304
    changed = root.patch(place, json={"role": "operator"}, headers={"If-Match": tag})
    assert ok(changed)["role"] == "operator"
    late = root.patch(place, json={"role": "admin"}, headers={"If-Match": tag})
    assert late.status_code == 412
    assert root.delete(place, headers={"If-Match": tag}).status_code == 412
    ok(root.put(f"{place}/password", json={"password": "another four random words"}), 204)
    ok(root.delete(place), 204)
    assert root.get(place).status_code == 404
    entries = ok(root.get("/v1/audit"))["items"]
    assert [(each["action"], each["outcome"]) for each in entries] == [
        ("user.delete", "done"),
        ("user.password", "done"),
        ("user.delete", "PreconditionFailed"),
        ("user.update", "PreconditionFailed"),
        ("user.update", "done"),
        ("user.create", "done"),
    ]
    update = entries[4]
    assert (update["before"]["role"], update["after"]["role"]) == ("viewer", "operator")


@pytest.mark.parametrize(
    "user",
    [
        {"name": "a b"},
        {"name": "eve", "role": "king"},
        {"name": "eve", "pasword": PASSWORD},
        {"name": "eve", "password": "P@ssw0rd123"},
        {"name": "eve", "tenant": "nobody"},
        {"name": "local", "password": PASSWORD},
        {},
    ],
)
def test_users_that_cannot_be(root: httpx.Client, user: dict[str, Any]) -> None:
    answer = root.post("/v1/users", json=user)
    assert answer.status_code in (400, 422)
    assert answer.json()["hint"]
    assert PASSWORD not in answer.text
    assert [each["name"] for each in ok(root.get("/v1/users"))["items"]] == ["root"]


def test_the_last_admin_stays(root: httpx.Client) -> None:
    for change in ({"role": "viewer"}, {"enabled": False}):
        assert root.patch("/v1/users/root", json=change).status_code == 409
    assert root.delete("/v1/users/root").status_code == 409
    assert ok(root.get("/v1/users/root"))["enabled"] is True


def test_lists_come_in_parts(root: httpx.Client) -> None:
    for name in ("a", "b", "c"):
        ok(root.post("/v1/users", json={"name": name}), 201)
    found, cursor = [], ""
    while True:
        page = ok(root.get("/v1/users", params={"limit": 2, "cursor": cursor}))
        found.append([each["name"] for each in page["items"]])
        cursor = page["next"]
        if cursor is None:
            break
    assert found == [["a", "b"], ["c", "root"]]
    assert root.get("/v1/users", params={"cursor": "made up"}).status_code == 400


# Tokens.


def test_the_life_of_a_token(daemon: Daemon, root: httpx.Client) -> None:
    wanted = {"name": "cron", "role": "viewer", "scopes": ["users", "tokens"]}
    answer = root.post("/v1/tokens", json=wanted)
    made = ok(answer, 201)
    assert answer.headers["Cache-Control"] == "no-store"
    with daemon.client(made["secret"]) as client:
        assert ok(client.get("/api/whoami"))["role"] == "viewer"
        assert client.get("/v1/users").status_code == 403
        assert client.get("/v1/tenants").status_code == 403
        assert client.post("/v1/tokens", json={"name": "more"}).status_code == 403
        found = ok(client.get(answer.headers["Location"]))
        assert "secret" not in found
        assert found["last_used"] is not None
        ok(root.delete(answer.headers["Location"]), 204)
        assert client.get("/api/whoami").status_code == 401
    assert made["secret"] not in root.get("/v1/audit").text
    assert root.get(answer.headers["Location"]).status_code == 404


def test_tokens_of_others(daemon: Daemon, root: httpx.Client) -> None:
    secret = daemon.account("eve", Role.OPERATOR)
    theirs = ok(root.get("/v1/tokens", params={"user": "eve"}))["items"][0]
    mine = ok(root.get("/v1/tokens"))["items"][0]
    assert {each["user"] for each in ok(root.get("/v1/tokens", params={"user": "*"}))["items"]} == {
        "eve",
        "root",
    }
    with daemon.client(secret) as eve:
        assert [each["id"] for each in ok(eve.get("/v1/tokens"))["items"]] == [theirs["id"]]
        for user in ("root", "*"):
            assert eve.get("/v1/tokens", params={"user": user}).status_code == 403
        assert eve.get(f"/v1/tokens/{mine['id']}").status_code == 404
        assert eve.delete(f"/v1/tokens/{mine['id']}").status_code == 404
        assert eve.post("/v1/tokens", json={"name": "a", "user": "root"}).status_code == 403
        assert eve.post("/v1/tokens", json={"name": "a", "role": "admin"}).status_code == 403
        assert ok(eve.post("/v1/tokens", json={"name": "a"}), 201)["role"] == "operator"
    made = ok(root.post("/v1/tokens", json={"name": "for eve", "user": "eve"}), 201)
    assert (made["user"], made["role"]) == ("eve", "operator")


def test_without_accounts_there_is_nobody_to_make_a_token_for(daemon: Daemon) -> None:
    with daemon.client() as client:
        assert client.post("/v1/tokens", json={"name": "a"}).status_code == 409
        assert ok(client.get("/v1/tokens"))["items"] == []


# Tenants.


def test_the_life_of_a_tenant(root: httpx.Client) -> None:
    wanted = {"name": "acme", "quota": {"instances": 3, "bytes": 1 << 40}}
    made = root.post("/v1/tenants", json=wanted)
    assert ok(made, 201)["used"] == {"instances": 0, "bytes": 0, "jobs": 0}
    tag = made.headers["ETag"]
    changed = root.patch(
        "/v1/tenants/acme", json={"description": "them"}, headers={"If-Match": tag}
    )
    assert ok(changed)["quota"]["instances"] == 3
    late = root.patch("/v1/tenants/acme", json={"description": ""}, headers={"If-Match": tag})
    assert late.status_code == 412
    assert root.post("/v1/tenants", json=wanted).status_code == 409
    ok(root.post("/v1/users", json={"name": "eve", "tenant": "acme"}), 201)
    assert root.delete("/v1/tenants/acme").status_code == 409
    ok(root.delete("/v1/users/eve"), 204)
    ok(root.delete("/v1/tenants/acme"), 204)
    assert root.get("/v1/tenants/acme").status_code == 404


def test_an_admin_of_a_tenant_stays_in_it(
    daemon: Daemon, root: httpx.Client, boss: httpx.Client
) -> None:
    ok(root.post("/v1/tenants", json={"name": "other"}), 201)
    daemon.account("foreign", Role.VIEWER, "other")
    assert [each["name"] for each in ok(boss.get("/v1/users"))["items"]] == ["boss"]
    assert [each["name"] for each in ok(boss.get("/v1/tenants"))["items"]] == ["acme"]
    for place in ("/v1/users/root", "/v1/users/foreign", "/v1/tenants/other"):
        assert boss.get(place).status_code == 404
        assert boss.patch(place, json={}).status_code == 404
        assert boss.delete(place).status_code == 404
    put = boss.put("/v1/users/root/password", json={"password": PASSWORD})
    assert put.status_code == 404
    foreign = ok(root.get("/v1/tokens", params={"user": "foreign"}))["items"][0]["id"]
    assert boss.get(f"/v1/tokens/{foreign}").status_code == 404
    assert boss.delete(f"/v1/tokens/{foreign}").status_code == 404
    assert boss.post("/v1/tokens", json={"name": "a", "user": "root"}).status_code == 404
    tokens = ok(boss.get("/v1/tokens", params={"user": "*"}))["items"]
    assert {each["user"] for each in tokens} == {"boss"}


def test_an_admin_of_a_tenant_cannot_get_out_of_it(root: httpx.Client, boss: httpx.Client) -> None:
    ok(root.post("/v1/tenants", json={"name": "other"}), 201)
    for tenant in ("", "other"):
        assert boss.patch("/v1/users/boss", json={"tenant": tenant}).status_code == 403
    made = boss.post("/v1/users", json={"name": "eve", "role": "admin", "tenant": "other"})
    assert made.status_code == 403
    assert ok(boss.post("/v1/users", json={"name": "eve"}), 201)["tenant"] == "acme"
    assert boss.post("/v1/tenants", json={"name": "third"}).status_code == 403
    assert boss.patch("/v1/tenants/acme", json={"quota": {}}).status_code == 403
    assert boss.delete("/v1/tenants/acme").status_code == 403


# The audit log.


def test_an_admin_of_a_tenant_sees_its_own_entries(root: httpx.Client, boss: httpx.Client) -> None:
    ok(root.post("/v1/users", json={"name": "one"}), 201)
    ok(boss.post("/v1/users", json={"name": "two"}), 201)
    assert [each["subject"] for each in ok(boss.get("/v1/audit"))["items"]] == ["users/two"]
    exported = [json.loads(line) for line in boss.get("/v1/audit/export").text.splitlines()]
    assert [each["subject"] for each in exported] == ["users/two"]
    assert len(ok(root.get("/v1/audit"))["items"]) == 2


def test_pages_and_filters(root: httpx.Client) -> None:
    for name in ("a", "b", "c"):
        ok(root.post("/v1/users", json={"name": name}), 201)
    page = ok(root.get("/v1/audit", params={"limit": 2}))
    assert [each["number"] for each in page["items"]] == [3, 2]
    page = ok(root.get("/v1/audit", params={"limit": 2, "cursor": page["next"]}))
    assert [each["number"] for each in page["items"]] == [1]
    assert page["next"] is None
    assert ok(root.get("/v1/audit", params={"subject": "users/b"}))["items"][0]["number"] == 2
    assert ok(root.get("/v1/audit", params={"since": "2100-01-01T00:00:00Z"}))["items"] == []
    assert root.get("/v1/audit", params={"since": "yesterday"}).status_code == 422


def test_whether_it_was_changed(daemon: Daemon, root: httpx.Client) -> None:
    for name in ("a", "b", "c"):
        ok(root.post("/v1/users", json={"name": name}), 201)
    verdict = ok(root.get("/v1/audit/verify"))
    assert (verdict["intact"], verdict["broken"], verdict["head"]["number"]) == (True, None, 3)
    lines = root.get("/v1/audit/export")
    assert lines.headers["content-type"].startswith("application/x-ndjson")
    assert json.loads(lines.text.splitlines()[-1])["digest"] == verdict["head"]["digest"]
    with daemon.services.database.write() as connection:
        connection.execute(
            sa.update(audit_table).where(audit_table.c.number == 2).values(user="mallory")
        )
    verdict = ok(root.get("/v1/audit/verify"))
    assert (verdict["intact"], verdict["broken"]) == (False, 2)


def test_a_head_that_was_kept_elsewhere(root: httpx.Client) -> None:
    ok(root.post("/v1/users", json={"name": "a"}), 201)
    head = ok(root.get("/v1/audit/verify"))["head"]
    assert ok(root.get("/v1/audit/verify", params=head))["intact"] is True
    other = {"number": "1", "digest": "0" * 64}
    assert ok(root.get("/v1/audit/verify", params=other))["broken"] == 1
