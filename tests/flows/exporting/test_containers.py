"""What has archives instead of disks."""

from __future__ import annotations

import pytest

from hypersdk.flows.exporting.options import FORMATS, ExportOptions
from hypersdk.flows.exporting.plan import check_disks
from hypersdk.model.errors import InvalidInput
from hypersdk.model.instances import Disk, Instance, InstanceState, Purpose

CONTAINER = Instance(
    "id", "app", InstanceState.RUNNING, 1, 0, (Disk("rootfs", 4096, purpose=Purpose.ARCHIVE),)
)


@pytest.mark.parametrize("format", FORMATS)
def test_archives_are_exported_as_they_are_or_not_at_all(format: str) -> None:
    options = ExportOptions(format=format)
    if format == "raw":
        check_disks(CONTAINER, options)
        return
    with pytest.raises(InvalidInput) as caught:
        check_disks(CONTAINER, options)
    assert "--format raw" in caught.value.hint
