from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from hypersdk.accounts.access import Credentials
from hypersdk.api.security import note_change
from hypersdk.database.tables import audit as audit_table
from hypersdk.model.accounts import Role
from hypersdk.model.errors import Conflict
from tests.api.tiny import PASSED, Tiny, tiny


@pytest.fixture
def app(tmp_path: Path) -> Iterator[Tiny]:
    with tiny(tmp_path) as one:
        yield one


@pytest.fixture
def root(app: Tiny) -> str:
    return app.account("root", Role.ADMIN)


# Credentials.


def test_without_accounts_whoever_is_here_may(app: Tiny) -> None:
    answer = app.client().get("/v1/things")
    assert (answer.status_code, answer.json()) == (PASSED, {"user": "local"})
    assert app.client().post("/v1/things/1", json={}).status_code == PASSED


@pytest.mark.parametrize(
    "form", ["Authorization: Bearer {}", "Authorization: bearer  {}", "Authorization: {}",
             "X-API-Key: {}"]
)  # fmt: skip
def test_forms_of_a_token(app: Tiny, root: str, form: str) -> None:
    name, value = form.format(root).split(": ")
    answer = app.client().get("/v1/things", headers={name: value})
    assert (answer.status_code, answer.json()) == (PASSED, {"user": "root"})


@pytest.mark.parametrize(
    "value",
    ["", "Bearer", "Bearer ", "Bearer wrong", "Basic cm9vdDpyb290", "Digest a", "hsdk_0_wrong"],
)
def test_what_is_no_token(app: Tiny, root: str, value: str) -> None:
    answer = app.client().get("/v1/things", headers={"Authorization": value})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["hint"]


@pytest.mark.parametrize("name", ["api_key", "token", "access_token", "ticket", "authorization"])
def test_a_token_in_the_query_is_not_read(app: Tiny, root: str, name: str) -> None:
    assert app.client().get("/v1/things", params={name: root}).status_code == 401


def test_a_cookie_is_not_read(app: Tiny, root: str) -> None:
    client = app.client(Cookie=f"token={root}; session={root}")
    assert client.get("/v1/things").status_code == 401


def test_everybody_may_what_is_for_everybody(app: Tiny, root: str) -> None:
    answer = app.client(client="10.0.0.1", Host="elsewhere").get("/health")
    assert (answer.status_code, answer.json()) == (PASSED, {"user": None})


def test_roles_and_scopes(app: Tiny, root: str) -> None:
    viewer = app.account("viewer", Role.VIEWER)
    lesser = app.account("lesser", Role.ADMIN, role=Role.VIEWER)
    scoped = app.account("scoped", Role.ADMIN, scopes=["other"])
    fitting = app.account("fitting", Role.ADMIN, scopes=["other", "things"])
    for token, look, change in (
        (viewer, PASSED, 403),
        (lesser, PASSED, 403),
        (scoped, 403, 403),
        (fitting, PASSED, PASSED),
        (root, PASSED, PASSED),
    ):
        client = app.client(token)
        assert client.get("/v1/things").status_code == look
        answer = client.post("/v1/things/1", json={})
        assert answer.status_code == change
        assert change == PASSED or answer.json()["hint"]


def test_an_expired_and_a_revoked_one(app: Tiny, root: str) -> None:
    user = app.users.get("root")
    moment = datetime.now(UTC) + timedelta(milliseconds=30)
    _, short = app.tokens.create(user, name="short", expires=moment)
    token, gone = app.tokens.create(user, name="gone")
    client = app.client(gone)
    assert client.get("/v1/things").status_code == PASSED
    app.tokens.revoke(token.id)
    assert client.get("/v1/things").status_code == 401
    while datetime.now(UTC) <= moment:
        pass
    assert app.client(short).get("/v1/things").status_code == 401


def test_nothing_is_read_from_who_may_not_send_it(app: Tiny, root: str) -> None:
    viewer = app.account("viewer", Role.VIEWER)
    for token, status in (("", 401), (viewer, 403)):
        answer = app.client(token).post("/v1/things/1", content=b"{ no JSON" * 1000)
        assert answer.status_code == status


def test_rates_are_per_token(tmp_path: Path) -> None:
    with tiny(tmp_path, rate=0.01) as app:
        root, other = app.account("root", Role.ADMIN), app.account("other", Role.ADMIN)
        client = app.client(root)
        assert client.get("/v1/things").status_code == PASSED
        answer = client.get("/v1/things")
        assert answer.status_code == 429
        assert 1 <= int(answer.headers["Retry-After"]) <= 100
        assert answer.json()["retryable"]
        assert app.client(other).get("/v1/things").status_code == PASSED
        assert client.get("/health").status_code == PASSED


# Pages and proxies.


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8080", "LOCALHOST", "127.0.0.1:9", "127.1.2.3", "[::1]", "[::1]:8080"],
)
def test_names_of_this_machine(app: Tiny, host: str) -> None:
    assert app.client(Host=host).get("/v1/things").status_code == PASSED


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "10.0.0.1", "", "[::2]", "[",
     "evil.example:8080", "127.0.0.1@evil.example", "localhost, evil.example"],
)  # fmt: skip
def test_a_name_that_leads_here_is_not_enough(app: Tiny, host: str) -> None:
    for path in ("/v1/things", "/health"):
        answer = app.client(Host=host).get(path)
        assert answer.status_code == 403
        assert answer.json()["hint"]


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://localhost:3000", "https://localhost:8080",
     "http://localhost:8080.evil.example", "http://127.0.0.1:8080"],
)  # fmt: skip
def test_pages_of_others_may_not(app: Tiny, origin: str) -> None:
    client = app.client(Origin=origin)
    assert client.get("/v1/things").status_code == 403
    assert client.post("/v1/things/1", json={}).status_code == 403
    assert app.bodies == []


def test_the_daemons_own_pages_may(app: Tiny) -> None:
    client = app.client(Origin="http://localhost:8080", Sec_Fetch_Site="same-origin")
    assert client.post("/v1/things/1", json={}).status_code == PASSED


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_browsers_that_leave_out_the_origin(app: Tiny, site: str) -> None:
    assert app.client(Sec_Fetch_Site=site).get("/v1/things").status_code == 403
    followed = app.client(Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate")
    assert followed.get("/v1/things").status_code == PASSED
    assert followed.post("/v1/things/1", json={}).status_code == 403


@pytest.mark.parametrize(
    "name", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via", "X-Forwarded-Host"]
)
def test_whoever_comes_through_a_proxy_is_not_here(app: Tiny, name: str) -> None:
    assert app.client().get("/v1/things", headers={name: "10.0.0.1"}).status_code == 403


def test_other_machines_are_not_here(app: Tiny) -> None:
    assert app.client(client="10.0.0.1").get("/v1/things").status_code == 403
    assert app.client(client="::ffff:127.0.0.1").get("/v1/things").status_code == PASSED


def test_names_and_pages_that_are_set(tmp_path: Path) -> None:
    with tiny(tmp_path, hosts=["VM.example"], origins=["https://Portal.example/"]) as app:
        client = app.client(Host="vm.example:8080", Origin="https://portal.example")
        assert client.get("/v1/things").status_code == PASSED


def test_with_accounts_tokens_count_and_not_names(app: Tiny, root: str) -> None:
    client = app.client(
        root, client="10.0.0.1", Host="vm.example", Origin="https://portal.example", Via="proxy"
    )
    assert client.get("/v1/things").status_code == PASSED


# Streams and sockets.


def test_a_ticket_opens_one_stream(app: Tiny, root: str) -> None:
    user = app.client(root).get("/v1/things").json()["user"]
    assert user == "root"
    principal = app.access.authenticate(Credentials(root), "")
    ticket = app.access.tickets.issue(principal)
    client = app.client()
    assert client.get("/v1/things", params={"ticket": ticket}).status_code == 401
    assert client.get("/v1/stream", params={"ticket": ticket}).json() == {"user": "root"}
    assert client.get("/v1/stream", params={"ticket": ticket}).status_code == 401


def test_sockets(app: Tiny, root: str) -> None:
    opened = app.client(root).socket("/v1/socket")
    assert (opened.status, opened.said) == (101, [{"user": "root"}])
    opened = app.client().socket("/v1/socket", "hypersdk", f"bearer.{root}")
    assert (opened.status, opened.said) == (101, [{"user": "root"}])
    assert opened.protocol == "hypersdk"
    opened = app.client().socket("/v1/socket", f"bearer.{root}")
    assert opened.protocol is None  # a token is not sent back


def test_sockets_that_are_refused(app: Tiny, root: str) -> None:
    other = app.account("other", Role.ADMIN, scopes=["other"])
    for token, status in (("", 401), ("wrong", 401), (other, 403)):
        opened = app.client(token).socket("/v1/socket")
        assert opened.status == status
        assert json.loads(opened.body)["hint"]
        assert opened.said == []


def test_a_socket_of_another_page(app: Tiny) -> None:
    assert app.client(Origin="http://localhost:8080").socket("/v1/socket").status == 101
    assert app.client(Origin="http://evil.example").socket("/v1/socket").status == 403


# The audit log.


def test_what_was_changed_is_noted(app: Tiny, root: str) -> None:
    def work(request: object, body: object) -> object:
        note_change(request, "things/7", {"old": 1}, {"password": "hidden"})  # type: ignore[arg-type]
        return {}

    app.work = work
    app.client(root, client="10.0.0.1").post("/v1/things/7", json={})
    (entry,) = app.audit.list()
    assert (entry.user, entry.origin, entry.action) == ("root", "10.0.0.1", "thing.change")
    assert (entry.subject, entry.outcome) == ("things/7", "done")
    assert (entry.before, entry.after) == ({"old": 1}, {"password": "***"})


def test_without_a_word_of_the_handler_the_path_is_the_subject(app: Tiny) -> None:
    app.client().post("/v1/things/7", json={})
    (entry,) = app.audit.list()
    assert (entry.user, entry.subject) == ("local", "things/7")


def test_who_may_not_is_noted_and_who_is_nobody_is_not(app: Tiny, root: str) -> None:
    viewer = app.account("viewer", Role.VIEWER)
    assert app.client().post("/v1/things/7", json={}).status_code == 401
    assert app.audit.list() == ()
    assert app.client(viewer).post("/v1/things/7", json={}).status_code == 403
    (entry,) = app.audit.list()
    assert (entry.user, entry.outcome, entry.after) == ("viewer", "refused", None)


def test_what_failed_is_noted_and_what_made_no_sense_is_not(app: Tiny, root: str) -> None:
    def work(request: object, body: object) -> object:
        raise Conflict("no")

    app.work = work
    client = app.client(root)
    assert client.post("/v1/things/7", json={}).status_code == 409
    assert [entry.outcome for entry in app.audit.list()] == ["Conflict"]
    assert client.post("/v1/things/7", json="no object").status_code == 422
    assert client.post("/v1/things/7", content=b"{").status_code in (400, 422)
    assert len(app.audit.list()) == 1


def test_looking_is_not_noted(app: Tiny) -> None:
    app.client().get("/v1/things")
    assert app.audit.list() == ()


def test_what_was_done_is_answered_even_when_the_log_fails(
    app: Tiny, caplog: pytest.LogCaptureFixture
) -> None:
    with app.database.write() as connection:
        audit_table.drop(connection)
    answer: httpx.Response = app.client().post("/v1/things/7", json={})
    assert answer.status_code == PASSED
    assert "audit" in caplog.text
