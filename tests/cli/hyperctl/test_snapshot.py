"""``hyperctl snapshot``"""

from __future__ import annotations

import re

from tests.cli.hyperctl.conftest import Control


def test_the_life_of_one(work: Control) -> None:
    made = work("snapshot", "create", "web", "before", "-description", "an upgrade").out
    assert re.search(r"(?m)^name: +before$", made)
    (row,) = work("snapshot", "list", "web").out.splitlines()[1:]
    assert row.startswith("before  2")
    assert row.endswith("an upgrade")
    assert work("snapshot", "revert", "web", "before").out == "lab/web stopped\n"
    assert work("snapshot", "delete", "web", "before", "-json").json == {"deleted": "before"}
    assert work("snapshot", "list", "web").err == "There are no snapshots.\n"
    assert "'gone'" in work("snapshot", "delete", "web", "gone", expect=1).err
