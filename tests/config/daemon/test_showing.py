from __future__ import annotations

import json

from hypersdk.config.daemon import examine_daemon_settings
from hypersdk.config.daemon.showing import masked_url, rows, shown
from tests.config.daemon.conftest import Write

SETTINGS = """
database: postgresql://u@h/d?password-from=env:DB
webhooks_key: file:/etc/key
hypervisors: {vc: "vsphere://u@h?password-from=keyring:a/b"}
webhooks:
- name: chat
  url: https://hooks.example.org:8443/services/T000/B000/geheim
  secret: env:SIGN
  headers: {X-Site: geheim, X-Key: "env:KEY"}
- {name: other, url: "env:CHAT_URL"}
"""


def test_nothing_secret_is_shown_and_references_are(write: Write) -> None:
    settings = examine_daemon_settings(write(SETTINGS)).settings
    assert settings is not None
    document = shown(settings)
    assert "geheim" not in json.dumps(document)
    assert document["webhooks"][0]["url"] == "https://hooks.example.org:8443/***"
    assert document["webhooks"][0]["headers"] == {"X-Site": "***", "X-Key": "env:KEY"}
    assert document["webhooks"][0]["secret"] == "env:SIGN"
    assert document["webhooks"][1]["url"] == "env:CHAT_URL"
    assert document["database"] == "postgresql://u@h/d?password-from=env:DB"
    assert document["limits"]["rate_per_token"] == 500


def test_every_row_says_where_its_value_comes_from(write: Write) -> None:
    path = write(SETTINGS)
    examined = examine_daemon_settings(path, log_level="debug")
    assert examined.settings is not None
    found = {
        name: (value, source) for name, value, source in rows(examined.settings, examined.sources)
    }
    assert found["log_level"] == ("debug", "--log-level")
    assert found["webhooks_key"] == ("file:/etc/key", f"{path}, line 3")
    assert found["webhooks[0].secret"] == ("env:SIGN", f"{path}, line 8")
    assert found["listen"] == ("localhost:8080", "default")
    assert found["workers.enabled"] == ("true", "default")


def test_urls_are_cut_behind_the_host() -> None:
    assert masked_url("https://h") == "https://h"
    assert masked_url("http://h:8080/?token=x") == "http://h:8080/***"
