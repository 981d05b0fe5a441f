"""The lab as a fixture. A folder of tests takes it with one import in its conftest."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.vsphere.lab import PASSWORD, VsphereLab

#: What would change which vCenter a test talks to.
_FOREIGN = ("GOVC_URL", "GOVC_USERNAME", "GOVC_DATACENTER", "GOVC_INSECURE")


@pytest.fixture(scope="session")
def vsphere_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VsphereLab]:
    """One vCenter with two hosts for all tests of a worker; the driver finds its password.

    Tests add machines of their own names and take their faults back.
    """
    before = {name: os.environ.pop(name, None) for name in (*_FOREIGN, "GOVC_PASSWORD")}
    os.environ["GOVC_PASSWORD"] = PASSWORD
    try:
        with VsphereLab.start(tmp_path_factory.mktemp("vsphere-lab")) as lab:
            yield lab
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
