"""Secrets are in no file, output or process list, whatever way an export ends."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hypersdk import MockHypervisor
from tests.cli.hyperexport.conftest import Export

WORD = "xyzzy-Tr0ub4dor"
LINE = [sys.executable, "-c", "from hypersdk.cli.hyperexport.main import main; main()"]


def test_they_are_found_nowhere(
    lab: MockHypervisor, tmp_path: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORD", WORD)
    monkeypatch.setenv("CHAT", f"json://user:{WORD}@127.0.0.1:9/")
    more = [
        *("--encrypt", "--passphrase-from", "env:WORD", "--manifest", "--audit-log", "audit"),
        *("--notify", "env:CHAT", "--webhook-url", "http://127.0.0.1:9/", "--debug"),
        *("--webhook-secret", "env:WORD", "--save-profile", "mine", "--json"),
        *("--email-notify", "--email-smtp-host", "127.0.0.1", "--email-smtp-port", "9"),
        *("--email-from", "a@example.org", "--email-to", "b@example.org"),
        *("--email-username", "u", "--email-password", "env:WORD"),
    ]
    seen: list[bytes] = []
    for names in (["web"], ["gone"]):
        child = subprocess.Popen(
            [*LINE, "-H", lab.url, *names, *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=work,
        )
        watcher = threading.Thread(target=_watch, args=(child, seen), daemon=True)
        watcher.start()
        out, err = child.communicate(timeout=120)
        watcher.join()
        seen += [out, err]
        more = [each.replace("mine", "other") for each in more]
    seen += [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert any(b"audit" in text or b"export_start" in text for text in seen)
    assert not [text[:400] for text in seen if WORD.encode() in text]


def _watch(child: subprocess.Popen[bytes], seen: list[bytes]) -> None:
    """What a process list shows of it while it runs."""
    while child.poll() is None:
        try:
            seen.append(Path(f"/proc/{child.pid}/cmdline").read_bytes())
        except OSError:
            return
        threading.Event().wait(0.05)


@pytest.mark.parametrize("option", ["--passphrase", "--passphrase-from", "--email-password"])
def test_one_that_is_typed_is_not_repeated(export: Export, option: str, tmp_path: Path) -> None:
    more = ["--encrypt"]
    if option == "--email-password":
        more = [
            *("--email-notify", "--email-smtp-host", "127.0.0.1", "--email-from", "a@b"),
            *("--email-to", "b@c", "--email-username", "u"),
        ]
    line = ["web", *more, option, WORD, "--debug"]
    result = export(*line, expect=2)
    assert WORD not in result.err + result.out
    assert "a secret must be given as a reference" in result.err


def test_a_password_in_a_url_is_refused(export: Export) -> None:
    result = export.plain("-H", f"vsphere://user:{WORD}@host/", "web", expect=2)
    assert WORD not in result.err
    assert os.environ.get("WORD") is None
