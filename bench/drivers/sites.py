"""Hypervisors with something on them, and the same questions asked by us and by their library."""

from __future__ import annotations

import asyncio
import importlib.util
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import fromstring

from hypersdk.drivers.registry import connect
from hypersdk.model.specs import DiskSpec, InstanceSpec
from hypersdk.model.units import MIB

LIST, STATUS = "drivers-list", "drivers-status"
STOPPED, RUNNING = 100, 4


@dataclass(frozen=True, slots=True)
class Question:
    """Asked by both, one after the other, as often as there is time."""

    measure: str
    #: Of which hypervisor, and about how many instances.
    variant: str
    ours: Callable[[], object]
    #: None where there is no library that could be asked.
    raw: Callable[[], object] | None
    #: What the library is asked, for a reader.
    call: str


@dataclass(frozen=True, slots=True)
class Site:
    """A hypervisor."""

    name: str
    #: Programs and modules without which it is left out.
    programs: tuple[str, ...]
    modules: tuple[str, ...]
    #: The library's name on PyPI; empty for none.
    library: str
    questions: Callable[[], Any]

    def version(self) -> str:
        """Empty when it cannot take part."""
        if any(shutil.which(program) is None for program in self.programs):
            return ""
        if any(importlib.util.find_spec(module) is None for module in self.modules):
            return ""
        return f"{self.library} {version(self.library)}" if self.library else "simulated"


@contextmanager
def libvirt_questions() -> Iterator[list[Question]]:
    """Domains with a disk each, defined or running without a system."""
    import libvirt  # noqa: PLC0415 - a driver's library may be missing

    from hypersdk.drivers.libvirt.connection import (  # noqa: PLC0415
        KEEPALIVE_COUNT,
        KEEPALIVE_SECONDS,
    )
    from tests.kvm.daemon import Libvirtd  # noqa: PLC0415

    with Libvirtd() as daemon:
        hypervisor: Any = connect(daemon.url)
        _fill(hypervisor, lambda name: _machine(name, str(daemon.images / f"{name}.qcow2")))
        native = libvirt.open(daemon.uri)
        native.setKeepAlive(KEEPALIVE_SECONDS, KEEPALIVE_COUNT)
        with closing(native), closing(hypervisor):
            yield [
                *_libvirt_list(hypervisor, native, daemon.url),
                *(_libvirt_status(hypervisor, native, state) for state in ("stopped", "running")),
            ]


def _libvirt_list(hypervisor: Any, native: Any, url: str) -> Iterator[Question]:
    from libvirt import (  # noqa: PLC0415
        VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT,
        VIR_DOMAIN_METADATA_ELEMENT,
        VIR_DOMAIN_STATS_BALLOON,
        VIR_DOMAIN_STATS_BLOCK,
        VIR_DOMAIN_STATS_STATE,
        VIR_DOMAIN_STATS_VCPU,
    )

    from hypersdk.drivers.libvirt.connection import Connection  # noqa: PLC0415
    from hypersdk.drivers.libvirt.inventory import LibvirtInventory  # noqa: PLC0415
    from hypersdk.drivers.libvirt.marks import NAMESPACE  # noqa: PLC0415

    wanted = VIR_DOMAIN_STATS_STATE | VIR_DOMAIN_STATS_BALLOON
    wanted |= VIR_DOMAIN_STATS_VCPU | VIR_DOMAIN_STATS_BLOCK

    def raw() -> object:
        return native.getAllDomainStats(wanted, VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT)

    def raw_first() -> object:
        return [
            (fromstring(domain.metadata(VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE)), record)  # noqa: S314
            for domain, record in native.getAllDomainStats(
                wanted, VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
            )
        ]

    yield Question(
        LIST, f"libvirt, {_crowd()}", partial(_listed, hypervisor), raw, "getAllDomainStats(…)"
    )
    # An inventory that hears no events asks for all marks each time.
    unkept = LibvirtInventory(Connection(url.partition("+")[2]))
    yield Question(
        LIST,
        f"libvirt, {_crowd()}, as for the first time",
        lambda: list(unkept.instances()),
        raw_first,
        "getAllDomainStats(…), metadata(…) of each, parsed",
    )


def _libvirt_status(hypervisor: Any, native: Any, state: str) -> Question:
    from libvirt import (  # noqa: PLC0415
        VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT,
        VIR_DOMAIN_STATS_BLOCK,
        VIR_DOMAIN_STATS_STATE,
    )

    name = f"{state}-1"

    def raw() -> object:
        domain = native.lookupByName(name)
        wanted = VIR_DOMAIN_STATS_STATE | VIR_DOMAIN_STATS_BLOCK
        flags = VIR_CONNECT_GET_ALL_DOMAINS_STATS_NOWAIT
        # Libraries of others parse what comes; who uses this one parses the XML.
        return native.domainListGetStats([domain], wanted, flags), fromstring(domain.XMLDesc())  # noqa: S314

    ours = partial(hypervisor.inventory.instance, name)
    call = "lookupByName, domainListGetStats, XMLDesc, parsed"
    return Question(STATUS, f"libvirt, {state}", ours, raw, call)


@contextmanager
def docker_questions() -> Iterator[list[Question]]:
    import docker  # noqa: PLC0415

    from tests.containers.dockerd import IMAGE, Dockerd  # noqa: PLC0415

    with Dockerd() as daemon:
        hypervisor: Any = connect(daemon.url)
        _fill(hypervisor, partial(_container, IMAGE))
        client = docker.APIClient(base_url=f"unix://{daemon.socket}")
        with closing(client), closing(hypervisor):
            yield [
                Question(
                    LIST,
                    f"Docker, {_crowd()}",
                    partial(_listed, hypervisor),
                    partial(client.containers, all=True),
                    "APIClient.containers(all=True)",
                ),
                Question(
                    STATUS,
                    "Docker, running",
                    partial(hypervisor.inventory.instance, "running-1"),
                    partial(client.inspect_container, "running-1"),
                    "APIClient.inspect_container",
                ),
            ]
            daemon.remove_all()


@contextmanager
def containerd_questions() -> Iterator[list[Question]]:
    """Its library is gRPC with stubs generated from containerd's files."""
    import grpc  # noqa: PLC0415

    from tests.containers.containerd import IMAGE, Containerd  # noqa: PLC0415

    with Containerd() as daemon:
        daemon.import_image()
        hypervisor: Any = connect(daemon.url)
        _fill(hypervisor, partial(_container, IMAGE))
        with grpc.insecure_channel(f"unix:{daemon.socket}") as channel, closing(hypervisor):
            yield _containerd(hypervisor, channel, daemon.namespace)
            _empty(hypervisor)


def _containerd(hypervisor: Any, channel: Any, namespace: str) -> list[Question]:
    from hypersdk.drivers.containerd.api.services.containers.v1 import (  # noqa: PLC0415
        containers_pb2,
    )
    from hypersdk.drivers.containerd.api.services.tasks.v1 import tasks_pb2  # noqa: PLC0415

    told = {"metadata": (("containerd-namespace", namespace),)}

    def raw(method: str, request: Any, answer: Any) -> Any:
        return channel.unary_unary(
            f"/containerd.services.{method}",
            request_serializer=request.SerializeToString,
            response_deserializer=answer.FromString,
        )

    list_containers = raw(
        "containers.v1.Containers/List",
        containers_pb2.ListContainersRequest,
        containers_pb2.ListContainersResponse,
    )
    list_tasks = raw("tasks.v1.Tasks/List", tasks_pb2.ListTasksRequest, tasks_pb2.ListTasksResponse)
    get_container = raw(
        "containers.v1.Containers/Get",
        containers_pb2.GetContainerRequest,
        containers_pb2.GetContainerResponse,
    )
    get_task = raw("tasks.v1.Tasks/Get", tasks_pb2.GetRequest, tasks_pb2.GetResponse)

    def raw_list() -> object:
        return (
            list_containers(containers_pb2.ListContainersRequest(), **told),
            list_tasks(tasks_pb2.ListTasksRequest(), **told),
        )

    def raw_status() -> object:
        return (
            get_container(containers_pb2.GetContainerRequest(id="running-1"), **told),
            get_task(tasks_pb2.GetRequest(container_id="running-1"), **told),
        )

    one = partial(hypervisor.inventory.instance, "running-1")
    whole = partial(_listed, hypervisor)
    return [
        Question(LIST, f"containerd, {_crowd()}", whole, raw_list, "Containers.List, Tasks.List"),
        Question(STATUS, "containerd, running", one, raw_status, "Containers.Get, Tasks.Get"),
    ]


@contextmanager
def qmp_questions() -> Iterator[list[Question]]:
    """A machine that is stopped is a folder: there is nobody to ask."""
    from qemu.qmp import QMPClient  # noqa: PLC0415

    folder = Path(tempfile.mkdtemp(prefix="qb-"))
    hypervisor: Any = connect(f"qmp://{folder}/q")
    loop = asyncio.new_event_loop()

    async def ask(paths: list[Path]) -> object:
        answers = []
        for path in paths:
            client = QMPClient()
            await client.connect(str(path))
            answers.append(await client.execute("query-status"))
            await client.disconnect()
        return answers

    try:
        _fill(hypervisor, partial(_machine, path=""), stopped=0)
        paths = sorted(
            path for path in folder.rglob("*") if path.is_socket() and "qmp" in path.name
        )
        raw_list = partial(lambda: loop.run_until_complete(ask(paths)))
        raw_status = partial(lambda: loop.run_until_complete(ask(paths[:1])))
        one = partial(hypervisor.inventory.instance, "running-1")
        call = "QMPClient: connect, query-status, disconnect"
        yield [
            Question(LIST, f"QMP, {RUNNING} running", partial(_listed, hypervisor), raw_list, call),
            Question(STATUS, "QMP, running", one, raw_status, call),
        ]
    finally:
        _empty(hypervisor)
        hypervisor.close()
        loop.close()
        shutil.rmtree(folder)


@contextmanager
def mock_questions() -> Iterator[list[Question]]:
    folder = tempfile.mkdtemp(prefix="mb-")
    hypervisor: Any = connect(f"mock://{folder}/m")
    try:
        _fill(hypervisor, partial(_machine, path="", acceleration=""))
        one = partial(hypervisor.inventory.instance, "running-1")
        yield [
            Question(LIST, f"mock, {_crowd()}", partial(_listed, hypervisor), None, ""),
            Question(STATUS, "mock, running", one, None, ""),
        ]
    finally:
        hypervisor.close()
        shutil.rmtree(folder)


SITES: Mapping[str, Site] = {
    site.name: site
    for site in (
        Site(
            "libvirt",
            ("libvirtd", "virtlogd", "qemu-system-x86_64", "unshare"),
            ("libvirt",),
            "libvirt-python",
            libvirt_questions,
        ),
        Site("docker", ("dockerd", "runc"), ("docker",), "docker", docker_questions),
        Site("containerd", ("containerd", "runc"), ("grpc",), "grpcio", containerd_questions),
        Site("qmp", ("qemu-system-x86_64",), ("qemu.qmp",), "qemu.qmp", qmp_questions),
        Site("mock", (), (), "", mock_questions),
    )
}


def _crowd() -> str:
    return f"{STOPPED} stopped and {RUNNING} running"


def _listed(hypervisor: Any) -> object:
    return list(hypervisor.inventory.instances())


def _machine(name: str, path: str, acceleration: str = "tcg") -> InstanceSpec:
    disk = DiskSpec(name="vda", size=MIB, path=path)
    return InstanceSpec(
        name=name, memory=64 * MIB, disks=(disk,), acceleration=acceleration, tags={"tier": "gold"}
    )


def _container(image: str, name: str) -> InstanceSpec:
    return InstanceSpec(
        name=name,
        image=image,
        command=("sleep", "1000000"),
        memory=64 * MIB,
        tags={"tier": "gold"},
    )


def _fill(hypervisor: Any, spec: Callable[[str], InstanceSpec], *, stopped: int = STOPPED) -> None:
    for number in range(1, stopped + 1):
        hypervisor.lifecycle.create(spec(f"stopped-{number}"))
    for number in range(1, RUNNING + 1):
        hypervisor.lifecycle.create(spec(f"running-{number}"))
        hypervisor.lifecycle.start(f"running-{number}")


def _empty(hypervisor: Any) -> None:
    for instance in list(hypervisor.inventory.instances()):
        hypervisor.lifecycle.stop(instance.name, force=True)
        hypervisor.lifecycle.delete(instance.name, disks=True)
