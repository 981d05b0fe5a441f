"""A daemon for the tests of a module, with the mock hypervisor ``lab`` and its instance ``web``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.api.known.daemons import Known, knowing


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Known]:
    with knowing(tmp_path_factory.mktemp("known")) as found:
        yield found
