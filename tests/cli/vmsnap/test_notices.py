from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.vmsnap.conftest import Domains, Snap
from tests.observe.test_notify import Receiver, receiver  # noqa: F401

# Of apprise itself, until Python 3.13 has no such module any more.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


def test_of_a_backup(
    snap: Snap,
    domains: Domains,
    receiver: Receiver,  # noqa: F811 - pytest's way
    tmp_path: Path,
) -> None:
    domains("web")
    address = tmp_path / "address"
    address.write_text(f"{receiver.url}\n")
    address.chmod(0o600)
    snap.backup("web", "--notify", f"file:{address}")
    snap.backup("web,nowhere", "--notify", receiver.url, expect=1)
    snap.backup("nowhere", "--notify", receiver.url, expect=1)
    good, partial, bad = receiver.received
    assert good["type"] == "success"
    assert good["title"].endswith(": backup done")
    assert good["message"].startswith("web: restore point ")
    assert (partial["type"], bad["type"]) == ("failure", "failure")
    assert "the backup failed for 1 of 2 domains" in partial["message"]
    assert "nowhere: failed: there is no domain" in partial["message"]
    assert "there is no domain 'nowhere'" in bad["message"]


@pytest.mark.parametrize("how", ["env:NO_SUCH_VARIABLE", "json://s3cret@127.0.0.1:1/"])
def test_what_cannot_be_sent_is_a_warning(snap: Snap, domains: Domains, how: str) -> None:
    domains("web")
    result = snap.backup("web", "--notify", how)
    assert "warning: " in result.err
    assert "s3cret" not in result.err
