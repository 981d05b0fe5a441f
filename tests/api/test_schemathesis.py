"""Whatever fits, and does not fit, the description of the interface is answered as it says."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Case as AnyCase
from schemathesis.checks import CheckContext, load_all_checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from hypersdk.api.building import describing
from hypersdk.model.jobs import NewJob
from tests.api.serving import Daemon, serving

#: Examples of each operation. A longer run gives HYPERSDK_EXAMPLES, and tries every bound and every
#: wrong method as well.
_EXAMPLES = int(os.environ.get("HYPERSDK_EXAMPLES", "8"))
_LONG = "HYPERSDK_EXAMPLES" in os.environ
#: What never ends by itself.
_STREAMS = ["stream_events"]


Case = AnyCase[Any]

load_all_checks()
schema = schemathesis.openapi.from_dict(describing().openapi()).exclude(operation_id=_STREAMS)
schema.config.phases.coverage.enabled = _LONG
#: What there is, by the names of parameters: nobody guesses it.
_THERE = {"hypervisor": "lab", "instance": "web", "id": "job-1", "snapshot": "one", "name": "lab"}


@schema.hook
def map_path_parameters(
    context: schemathesis.HookContext, path_parameters: dict[str, Any] | None
) -> dict[str, Any] | None:
    """Half of the time, name something that there is."""
    operation = context.operation
    if not path_parameters or operation is None or operation.method == "delete":
        return path_parameters
    if sum(map(ord, str(path_parameters))) % 2:
        return path_parameters
    return {name: _THERE.get(name, value) for name, value in path_parameters.items()}


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """With something in every list. Paths that are made up are below its folder, too."""
    folder = tmp_path_factory.mktemp("any")
    with contextlib.chdir(folder), serving(folder) as found:
        found.services.jobs.submit(
            [NewJob(kind="inventory", request={"hypervisor": "lab"}, id="job-1")]
        )
        yield found


def _no_fault(context: CheckContext, response: schemathesis.Response, case: Case) -> None:
    """What a hypervisor lacks or fails is no fault of ours, and is documented; 500 is."""
    assert response.status_code != 500, response.text


@schema.parametrize()
@settings(
    max_examples=_EXAMPLES,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
    derandomize=True,
    database=None,
)
def test_every_answer_is_documented(case: Case, daemon: Daemon) -> None:
    response = case.call(base_url=daemon.url)
    case.validate_response(
        response,
        checks=[
            _no_fault,
            status_code_conformance,
            content_type_conformance,
            response_schema_conformance,
        ],
    )
