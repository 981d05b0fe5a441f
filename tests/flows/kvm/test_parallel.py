"""Ten domains at once into one repository."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import hypersdk
from tests.flows.kvm.scene import Scene, vda
from tests.kvm.domains import DiskSpec, qemu_io

COUNT = 10


def test_ten_domains_at_once(scene: Scene) -> None:
    names = [f"web {number}" for number in range(COUNT)]
    domains = {
        name: scene.paused(name, DiskSpec(scene.lab.image(f"{name}.qcow2", "16M")), memory_mib=32)
        for name in names
    }

    def back_up(name: str) -> hypersdk.RestorePoint:
        return hypersdk.backup_instance(scene.repository, scene.hypervisor, name)

    for number in range(2):
        for place, domain in enumerate(domains.values()):
            qemu_io(domain, "vda", f"write -P {place + 1} {number}M 1M")
        with ThreadPoolExecutor(COUNT) as threads:
            points = list(threads.map(back_up, names))
        for name, point in zip(names, points, strict=True):
            assert point.instance == name
            assert vda(point).incremental == (number > 0), vda(point).reason
            scene.copies[point.id] = scene.copy(name)
            scene.check(point)
            scene.assert_idle(name)
            assert len(scene.checkpoints(name)) == 1
    assert hypersdk.verify(scene.repository).ok
