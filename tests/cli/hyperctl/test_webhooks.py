"""``hyperctl webhooks``"""

from __future__ import annotations

import re

from tests.app.daemons import until
from tests.cli.hyperctl.conftest import Control
from tests.estate.receiver import receiving


def test_the_life_of_one(work: Control) -> None:
    with receiving() as receiver:
        made = work("webhooks", "add", receiver.url, "job.*", "backup.failed").out
        (id,) = re.findall(r"(?m)^id: +(\S+)$", made)
        assert re.search(r"(?m)^secret: +whsec_\S+$", made), "shown once"
        row = next(line for line in work("webhooks", "list").out.splitlines() if id in line)
        assert re.split("  +", row)[1:] == [receiver.url, "job.*, backup.failed", "yes"]
        assert "whsec_" not in work("webhooks", "list", "-json").out

        work("webhooks", "test", id)
        until(lambda: receiver.received, "the test")
        shown = until(
            lambda: work("webhooks", "deliveries", id, "-state", "delivered", "-json").json[
                "deliveries"
            ]
        )
        again = work("webhooks", "redeliver", id, shown[0]["id"], "-json").json
        assert again["state"] == "waiting"
        until(lambda: len(receiver.received) > 1, "the second")
        assert work("webhooks", "delete", id).out == f"{id} deleted\n"
        assert id not in work("webhooks", "list").out


def test_what_cannot_be(work: Control) -> None:
    refused = work("webhooks", "add", "ftp://x", expect=2)
    assert "http" in refused.err
    assert work("webhooks", "test", "nope", expect=1).out == ""
