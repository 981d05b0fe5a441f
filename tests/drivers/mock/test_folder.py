from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pytest

from hypersdk.drivers.mock.driver import MockHypervisor
from hypersdk.drivers.mock.folder import RunState
from hypersdk.model.errors import InstanceNotFound
from hypersdk.model.instances import InstanceState


def test_a_state_that_makes_no_sense_is_unknown() -> None:
    for content in (b"", b"[]", b"{}", b'{"state": "dancing"}'):
        assert RunState.decode(content) == RunState(InstanceState.UNKNOWN)
    whole = RunState(InstanceState.RUNNING, 1.5, 7)
    assert RunState.decode(whole.encode()) == whole


def test_changes_of_many_threads_are_all_there(tmp_path: Path) -> None:
    mock = MockHypervisor(tmp_path)
    mock.create_instance("web", {})

    def work(number: int) -> None:
        folder = mock._root.find("web")
        for step in range(10):
            with folder.locked():
                found = folder.definition()
                tags = {**found.tags, f"{number}-{step}": ""}
                folder.set_definition(replace(found, tags=tags))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(mock.inventory.instance("web").tags) == 80


def test_a_folder_that_is_gone_is_a_missing_instance(mock: MockHypervisor) -> None:
    folder = mock._root.find("web")
    mock.lifecycle.stop("web")
    mock.lifecycle.delete("web")
    for call in (folder.definition, folder.definition_bytes, folder.run, folder.observe):
        with pytest.raises(InstanceNotFound, match="was deleted"):
            call()
    with pytest.raises(InstanceNotFound), folder.locked():
        pass
