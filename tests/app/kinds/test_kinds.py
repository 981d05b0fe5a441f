"""What all kinds have in common."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from hypersdk.app.kinds import Folders, all_kinds, restoring
from hypersdk.contract.kinds import SCHEMAS
from hypersdk.jobs.kinds import Kinds, Placed
from hypersdk.model.errors import InvalidInput, NotAllowed, NotFound
from tests.app.kinds.lab import Lab
from tests.app.kinds.running import FakeRun, job_of

FOLDER = Path(inspect.getfile(all_kinds)).parent
#: Kind → a request that every kind takes, with paths below ``ROOT``.
REQUESTS: dict[str, dict[str, Any]] = {
    "backup": {"repository": "main", "hypervisor": "lab", "instance": "web"},
    "restore": {"repository": "main", "instance": "web", "to_folder": "ROOT/out"},
    "verify": {"repository": "main"},
    "prune": {"repository": "main", "keep": {"last": 1}},
    "gc": {"repository": "main"},
    "export": {"hypervisor": "lab", "instance": "web", "output": "ROOT/out"},
    "import": {"hypervisor": "lab", "source": "ROOT/web.ova"},
    "convert": {"source": "ROOT/disk.img", "target": "ROOT/disk.qcow2"},
    "snapshot": {"hypervisor": "lab", "instance": "web"},
    "batch": {"operation": "start", "hypervisor": "lab", "match": "*"},
    "lifecycle": {"operation": "start", "hypervisor": "lab", "instance": "web"},
    "conformance": {"hypervisor": "lab"},
    "inventory": {},
}


def request_of(lab: Lab, kind: str) -> dict[str, Any]:
    return {
        field: value.replace("ROOT", str(lab.root)) if isinstance(value, str) else value
        for field, value in REQUESTS[kind].items()
    }


def test_kinds_and_schemas_are_the_same(lab: Lab) -> None:
    kinds = lab.kinds()
    assert set(kinds.known) == set(SCHEMAS) == set(REQUESTS)
    for name, kind in kinds.known.items():
        assert kind.name == name
        assert kind.summary.endswith(".")
        assert kind.waits is (name == "batch")


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_every_field_of_a_request_is_read(kind: str) -> None:
    files = [f"{kind}.py", "import_.py" if kind == "import" else f"{kind}.py"]
    text = "".join((FOLDER / file).read_text() for file in files if (FOLDER / file).exists())
    if kind == "restore":
        text += inspect.getsource(restoring)
    request, _ = SCHEMAS[kind]
    unread = [
        field for field in request.model_fields if not re.search(rf"\bwanted\.{field}\b", text)
    ]
    assert unread == []


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_every_field_of_a_result_is_given(kind: str) -> None:
    text = "".join(path.read_text() for path in FOLDER.glob("*.py"))
    _, result = SCHEMAS[kind]
    never = [
        field for field in result.model_fields if not re.search(rf'\b{field}=|"{field}":', text)
    ]
    assert never == []


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_plans(lab: Lab, kind: str) -> None:
    kinds, request = lab.kinds(), request_of(lab, kind)
    plan = kinds[kind].plan(request)
    assert plan.name
    assert plan.dedup.startswith(f"{kind}:")
    named = {
        f"{field}:{request[field]}" for field in ("hypervisor", "repository") if field in request
    }
    assert named <= set(plan.uses)
    with pytest.raises(InvalidInput, match=r"no field request\.colour") as caught:
        kinds[kind].plan({**request, "colour": "red"})
    assert caught.value.hint
    for field in ("hypervisor", "repository"):
        if field in request:
            with pytest.raises(NotFound):
                kinds[kind].plan({**request, field: "nowhere"})


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_a_tenant_reaches_nothing_that_is_not_its_own(lab: Lab, kind: str) -> None:
    run = FakeRun(job_of(kind, {}, tenant="acme"), kinds=lab.kinds())
    request = request_of(lab, kind)
    if kind == "inventory":
        request = {"hypervisor": "lab"}
    with pytest.raises((NotFound, NotAllowed)):
        lab.kinds()[kind].work(request, run)
    for field, url in (("hypervisor", f"mock://{lab.root}/lab"), ("repository", f"{lab.root}/x")):
        if field in request:
            with pytest.raises((NotFound, NotAllowed)):
                lab.kinds()[kind].work({**request, field: url}, run)


def test_places_only_where_there_are_budgets_for_them(lab: Lab) -> None:
    from dataclasses import replace  # noqa: PLC0415

    from hypersdk.model.estate import Budget  # noqa: PLC0415

    kinds = lab.kinds()
    placed = {name for name, kind in kinds.known.items() if isinstance(kind, Placed)}
    assert placed == {"backup", "export", "snapshot"}
    for name in placed:
        kind = kinds[name]
        assert isinstance(kind, Placed)
        assert kind.places(request_of(lab, name)) == ()
    lab.hypervisors["lab"] = replace(
        lab.hypervisors["lab"], host_budget=Budget(jobs=2), datastore_budget=Budget(bandwidth=9)
    )
    found = kinds["backup"].places(request_of(lab, "backup"))  # type: ignore[attr-defined]
    assert [each.partition(":")[0] for each in found] == ["host", "datastore"]
    assert all(each.partition(":")[2].startswith("lab/") for each in found)


def test_without_folders_one_user_may_write_everywhere(lab: Lab) -> None:
    everywhere: Kinds = all_kinds(lab.connections)
    assert everywhere["convert"].plan({"source": "/a/b.img", "target": "/c/d.qcow2"})
    somewhere = all_kinds(lab.connections, folders=Folders((lab.root,)))
    with pytest.raises(NotAllowed):
        somewhere["convert"].plan({"source": "/a/b.img", "target": "/c/d.qcow2"})
