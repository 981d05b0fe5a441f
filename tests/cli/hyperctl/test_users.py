"""``hyperctl users``, ``tenants``, ``tokens``, ``audit``, ``login`` and ``profile``"""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import keyring
import pytest
from keyring.backends import null

from hypersdk.config.daemons import profiles_file
from hypersdk.model.accounts import Role
from tests.api.serving import Daemon, serving
from tests.cli.hyperctl.conftest import Control
from tests.config.test_secrets import FakeKeyring

PASSWORD = "plover-quartz-vivid-lantern"


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One with accounts: nobody may do anything without one."""
    with serving(tmp_path_factory.mktemp("closed")) as found:
        yield found


@pytest.fixture
def root(closed: Daemon, monkeypatch: pytest.MonkeyPatch) -> Control:
    """The command as an administrator."""
    known = {user.name for user in closed.services.users.list()}
    if "root" in known:
        user = closed.services.users.get("root")
        _, secret = closed.services.tokens.create(user, name="again", role=Role.ADMIN)
    else:
        secret = closed.account("root", Role.ADMIN)
    monkeypatch.setenv("HYPERCTL_TOKEN", secret)
    monkeypatch.setenv("NEW_PASSWORD", PASSWORD)
    return Control(closed.url)


def test_the_life_of_an_account(root: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    root("tenants", "add", "site", "-jobs", 5, "-bytes", 1 << 30)
    words = ("users", "add", "ann", "-role", "operator", "-tenant", "site")
    made = root(*words, "-password-from", "env:NEW_PASSWORD").out
    assert re.search(r"(?m)^role: +operator$", made)
    assert PASSWORD not in made
    assert re.search(r"(?m)^ann +operator  site +yes", root("users", "list").out)
    changed = root("users", "change", "ann", "-role", "viewer", "-disable", "-json").json
    assert (changed["role"], changed["enabled"]) == ("viewer", False)
    assert "say what to change" in root("users", "change", "ann", expect=2).err
    monkeypatch.setenv("OTHER", "meadow-rocket-salt-tunnel")
    said = root("users", "password", "ann", "-password-from", "env:OTHER").out
    assert said == "password of ann changed\n"
    assert root("users", "delete", "ann").out == "ann deleted\n"
    assert "there is no user 'ann'" in root("users", "delete", "ann", expect=1).err
    assert re.search(r"(?m)^site  .*jobs=5", root("tenants", "list").out)
    assert root("tenants", "change", "site", "-jobs", 7, "-json").json["quota"]["jobs"] == 7
    assert root("tenants", "delete", "site").out == "site deleted\n"


def test_the_life_of_a_token(root: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    made = root("tokens", "create", "ci", "-role", "viewer", "-scope", "jobs", "-days", 7).out
    (secret,) = re.findall(r"(hsdk_\S+)", made)
    (id,) = re.findall(r"(?m)^id: +(\S+)$", made)
    listed = root("tokens", "list").out
    assert re.search(rf"(?m)^{id} +root +ci +viewer", listed)
    assert secret not in listed
    administrator = root
    monkeypatch.setenv("SCOPED", secret)
    scoped = ("-token-from", "env:SCOPED")
    assert administrator("query", *scoped).out.startswith("Job ID")
    assert "scope" in administrator("list", *scoped, expect=1).err
    assert administrator("tokens", "revoke", id).out == f"{id} revoked\n"
    assert "hyperctl login" in administrator("query", *scoped, expect=1).err


def test_the_audit_log(root: Control) -> None:
    root("hypervisor", "delete", "nobody", expect=1)
    head, newest, *_ = root("audit", "list", "-limit", 5).out.splitlines()
    assert head.split() == ["Number", "Time", "User", "From", "Action", "Subject", "Outcome"]
    assert newest.split()[5:] == ["hypervisor.delete", "hypervisors/nobody", "NotFound"]
    assert len(root("audit", "list", "-limit", 1, "-user", "root", "-json").json["entries"]) == 1
    verdict = root("audit", "verify").out
    number = int(re.match(r"(\d+) entries are intact; the last is [0-9a-f]{64}\n", verdict)[1])  # type: ignore[index]
    lines = [json.loads(line) for line in root("audit", "export").out.splitlines()]
    assert [line["number"] for line in lines][:number] == list(range(1, number + 1))


@pytest.fixture(params=["keyring", "none"])
def ann(
    request: pytest.FixtureRequest,
    closed: Daemon,
    root: Control,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Control]:
    """An account with a password, on a machine with a keyring or without one, and a command that
    knows nothing yet."""
    closed.services.users.create("ann", PASSWORD, Role.OPERATOR, "")
    monkeypatch.delenv("HYPERCTL_TOKEN")
    before = keyring.get_keyring()
    keyring.set_keyring(FakeKeyring() if request.param == "keyring" else null.Keyring())  # type: ignore[no-untyped-call]
    yield Control(closed.url)
    keyring.set_keyring(before)
    closed.services.users.delete("ann")


def test_from_login_to_logout(ann: Control, closed: Daemon) -> None:
    said = ann("login", "-user", "ann", "-password-from", "env:NEW_PASSWORD", "-as", "prod")
    assert said.out == f"logged in as ann at {closed.url}, kept as 'prod'\n"
    bare = Control()  # neither -daemon nor HYPERVISORD_URL
    assert f"at {closed.url}\n" in bare("status").out, "the first profile is the default"
    assert bare("-profile", "prod", "status", "-json").json["user"] == "ann"
    row = bare("profile", "list").out.splitlines()[1]
    assert row.split() == ["prod", closed.url, "ann", "yes"]
    _where_the_token_is()
    assert "Did you mean prod?" in bare("-profile", "prd", "status", expect=1).err

    assert bare("logout").out == "logged out\n"
    assert "hyperctl login" in bare("status", expect=1).err
    assert bare("profile", "delete", "prod").out == "prod deleted\n"
    assert bare("profile", "list", "-json").json == {"profiles": [], "default": ""}
    kept = keyring.get_keyring()
    assert not (kept.kept if isinstance(kept, FakeKeyring) else _files()), "nothing is left"


def test_a_wrong_password(ann: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WRONG", "not that")
    result = ann("login", "-user", "ann", "-password-from", "env:WRONG", expect=1)
    assert "not that" not in result.err
    assert "hyperctl login" not in result.err, "that is what was done"
    assert Control()("profile", "list", "-json").json["profiles"] == []


def _where_the_token_is() -> None:
    """Not in the file of profiles, and nowhere that others can read."""
    file = profiles_file()
    assert "hsdk_" not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    if isinstance(keyring.get_keyring(), FakeKeyring):
        assert _files() == []
        assert 'token = "keyring:hyperctl/prod"' in file.read_text()
        return
    (token,) = _files()
    assert token.read_text().startswith("hsdk_")
    assert stat.S_IMODE(token.stat().st_mode) == 0o600


def _files() -> list[Path]:
    """Beside the file of profiles."""
    here = profiles_file()
    return [path for path in here.parent.rglob("*") if path.is_file() and path != here]
