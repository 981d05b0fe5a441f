from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.app.database import OnlyDaemon, open_database, with_password
from hypersdk.config.daemon import load_daemon_settings
from hypersdk.model.errors import Conflict, InvalidInput
from tests.postgres import Server


def test_a_password_comes_from_its_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "p@ss/w:rd")
    url = "postgresql://user@db:5433/name?sslmode=require&password-from=env:SECRET"
    assert with_password(url) == "postgresql://user:p%40ss%2Fw%3Ard@db:5433/name?sslmode=require"
    assert with_password("postgresql://u@h/n") == "postgresql://u@h/n"
    assert with_password("sqlite:////x.db") == "sqlite:////x.db"
    monkeypatch.delenv("SECRET")
    with pytest.raises(InvalidInput):
        with_password(url)


def test_there_is_one_daemon_for_an_sqlite_database(tmp_path: Path) -> None:
    settings = load_daemon_settings(state_dir=str(tmp_path), listen="localhost:81")
    first, second = open_database(settings), open_database(settings)
    only = OnlyDaemon.of(first, settings)
    assert only.held()
    with pytest.raises(Conflict, match=r"process \d+, on localhost:81, since 20"):
        OnlyDaemon.of(second, settings)
    only.release()
    OnlyDaemon.of(second, settings).release()
    first.close()
    second.close()


def test_there_is_one_daemon_for_a_postgresql_database(
    postgres_server: Server, tmp_path: Path
) -> None:
    settings = load_daemon_settings(state_dir=str(tmp_path), database=postgres_server.database())
    first, second = open_database(settings), open_database(settings)
    assert abs(first.skew()) < 60
    only = OnlyDaemon.of(first, settings)
    with pytest.raises(Conflict, match="another hypervisord uses the database postgresql"):
        OnlyDaemon.of(second, settings)
    only.release()
    OnlyDaemon.of(second, settings).release()
    first.close()
    second.close()
