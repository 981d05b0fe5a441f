from __future__ import annotations

import pytest

from hypersdk.drivers.containerd.driver import connect
from hypersdk.model.errors import InstanceNotFound
from hypersdk.model.instances import InstanceState
from hypersdk.model.units import MIB
from tests.containers.containerd import IMAGE
from tests.drivers.containerd.lab import Lab


def test_all_by_name_ours_and_others(lab: Lab) -> None:
    lab.created("zoo", tags={"a": "1", "empty": "", "odd": "=x"}, folder="prod/web")
    lab.running("ape")
    lab.daemon.ctr("images", "import", "--help")
    lab.daemon.ctr("run", "--detach", IMAGE, "theirs")
    found = list(lab.hypervisor.inventory.instances())
    assert [one.name for one in found] == ["ape", "theirs", "zoo"]
    ape, theirs, zoo = found
    assert (ape.owned, theirs.owned, zoo.owned) == (True, False, True)
    assert (ape.state, theirs.state) == (InstanceState.RUNNING,) * 2
    assert zoo.state is InstanceState.STOPPED
    assert zoo.tags == {"a": "1", "empty": "", "odd": "=x"}
    assert (zoo.folder, zoo.image, zoo.memory) == ("prod/web", IMAGE, 64 * MIB)
    assert zoo == lab.hypervisor.inventory.instance("zoo")
    lab.hypervisor.lifecycle.stop("theirs", force=True)
    lab.hypervisor.lifecycle.delete("theirs")


def test_namespaces_are_apart(lab: Lab) -> None:
    lab.created()
    other = connect(lab.daemon.url_of("elsewhere"))
    assert list(other.inventory.instances()) == []
    with pytest.raises(InstanceNotFound, match="'web'"):
        other.inventory.instance("web")
    other.close()


@pytest.mark.parametrize("name", ["", "nobody", "../web", "a b", "we", "x" * 300])
def test_missing(lab: Lab, name: str) -> None:
    lab.created()
    with pytest.raises(InstanceNotFound) as caught:
        lab.hypervisor.inventory.instance(name)
    assert f"'{name}'" in caught.value.message
