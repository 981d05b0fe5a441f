from __future__ import annotations

from typing import Any

import pytest

from hypersdk.app.kinds.site import JOB_TAG
from hypersdk.model.errors import AlreadyExists, InstanceNotFound, Interrupted, InvalidInput
from hypersdk.model.instances import InstanceState
from tests.app.kinds.killed import kill, resume
from tests.app.kinds.lab import MIB, Lab
from tests.app.kinds.running import JOB, FakeRun, cancelling, job_of


@pytest.fixture
def package(lab: Lab) -> dict[str, Any]:
    lab.run("export", hypervisor="lab", instance="web", output=str(lab.root / "out"), format="ova")
    return {"hypervisor": "other", "source": str(lab.root / "out/web.ova")}


def test_an_instance_of_a_package(lab: Lab, package: dict[str, Any]) -> None:
    done = lab.run(
        "import", **package, name="shop", start=True, tags={"tier": "silver"}, vcpus=2,
        memory=512 * MIB, folder="prod",
    )  # fmt: skip
    made = lab.mock("other").inventory.instance("shop")
    assert (done["instance"], done["id"], done["started"]) == ("shop", made.id, True)
    assert done["verified"]
    assert (made.vcpus, made.memory, made.folder) == (2, 512 * MIB, "prod")
    assert made.tags["tier"] == "silver"
    assert made.tags[JOB_TAG] == lab.last.job.id
    assert made.state is InstanceState.RUNNING
    assert lab.content("shop", on="other") == lab.content("web")
    with pytest.raises(AlreadyExists):
        lab.run("import", **package, name="shop")


@pytest.mark.parametrize("moment", ["lost import", "after import", "lost start", str(2 * MIB)])
def test_a_killed_run_makes_one_instance(lab: Lab, package: dict[str, Any], moment: str) -> None:
    request = {**package, "start": True}
    kill(lab.root, "import", moment, request)
    resume(lab, "import", request)
    (made,) = lab.mock("other").inventory.instances()
    assert made.name == "web"
    assert made.tags[JOB_TAG] == JOB
    assert made.state is InstanceState.RUNNING
    assert lab.content("web", on="other") == lab.content("web")


def test_cancelled_nothing_is_left(lab: Lab, package: dict[str, Any]) -> None:
    runs: list[FakeRun] = []
    run = FakeRun(
        job_of("import", package), reporter=cancelling(lambda: runs[0], MIB), share=lambda: MIB
    )
    runs.append(run)
    with pytest.raises(Interrupted):
        lab.kinds()["import"].work(package, run)
    with pytest.raises(InstanceNotFound):
        lab.mock("other").inventory.instance("web")


def test_a_sealed_package(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMPORT_KEY", "correct horse")
    out = str(lab.root / "sealed")
    lab.run(
        "export", hypervisor="lab", instance="web", output=out, format="ova",
        passphrase="env:IMPORT_KEY",
    )  # fmt: skip
    source = f"{out}/web.ova.age"
    done = lab.run("import", hypervisor="other", source=source, passphrase="env:IMPORT_KEY")
    assert done["instance"] == "web"


def test_refused(lab: Lab) -> None:
    plan = lab.kinds()["import"].plan
    with pytest.raises(InvalidInput, match=r"request.passphrase: a secret must"):
        plan({"hypervisor": "lab", "source": "/x.ova", "passphrase": "correct horse"})
    with pytest.raises(InvalidInput, match="set by the daemon"):
        plan({"hypervisor": "lab", "source": "/x.ova", "tags": {JOB_TAG: "x"}})
    assert plan({"hypervisor": "lab", "source": "/x.ova"}).makes == 1
