"""Backup and restore of containers: what comes back is what was there."""
# ruff: noqa: F811 - fixtures are imported, and named by those who want them

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

import hypersdk
from hypersdk import (
    BackupOptions,
    InvalidInput,
    Placement,
    ProvisionOptions,
    Repository,
    RestoreOptions,
    RestorePoint,
)
from hypersdk.drivers.docker.driver import DockerHypervisor
from hypersdk.model.errors import Interrupted, NotSupported
from hypersdk.model.instances import InstanceState, Purpose
from tests.containers.dockerd import IMAGE, RUNS, Dockerd
from tests.containers.fixtures import docker, dockerd, engine  # noqa: F401
from tests.drivers.docker.lab import running, volume
from tests.flows.examples import stopping
from tests.repository.examples import MIB, RECIPIENT

#: What the engine puts into each container anew.
ENGINES_OWN = {".dockerenv", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab"}
#: All kinds of files that a container may have, made inside it.
FILL = r"""
mkdir -p $1/sub/empty && cd $1
echo plain > plain; chmod 640 plain; chown 12:34 plain; touch -d '2001-02-03 04:05:06' plain
ln -s plain soft; ln -s /no/where dangling; ln plain hard
mkfifo pipe; mknod null c 1 3; chmod 4755 sub; chown 1000:1000 sub/empty
dd if=/dev/urandom of=sub/large bs=64k count=20 2>/dev/null
dd if=/dev/zero of=sparse bs=1 count=1 seek=9999999 2>/dev/null
echo x > "$(printf 'odd \303\274\n name')"
echo y > $(printf 'n%.0s' $(seq 120)).txt
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Repository:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("HYPERSDK_SCRATCH_DIR", str(scratch))
    return hypersdk.init_repository(
        tmp_path / "repository",
        protect=hypersdk.Protect.recipient(RECIPIENT),
        cache=tmp_path / "cache",
    )


def contents(engine: Dockerd, *words: str) -> dict[str, tuple[object, ...]]:
    """Every file in what the engine exports, with all that is known of it."""
    found: dict[str, tuple[object, ...]] = {}
    with tarfile.open(fileobj=io.BytesIO(engine.run(*words).stdout)) as archive:
        for each in archive:
            file = archive.extractfile(each) if each.isreg() else None
            header = (each.type, each.mode, each.uid, each.gid, each.linkname)
            device = (each.devmajor, each.devminor)
            xattrs = sorted(
                (key, value) for key, value in each.pax_headers.items() if "xattr" in key
            )
            if each.name in ENGINES_OWN or each.name.startswith(("dev/", "proc/", "sys/")):
                continue
            found[each.name] = (*header, *device, xattrs, file.read() if file else each.size)
            if not each.isdir():
                found[each.name] += (int(each.mtime),)
    return found


def filled(engine: Dockerd, docker: DockerHypervisor, name: str = "web") -> None:
    running(docker, name, memory=128 * MIB, env={"PASSWORD": "geheim"}, **volume(f"{name}-data"))
    for place in ("/own", "/data"):
        engine.sh(name, FILL.replace("$1", place))
    # A capability, which is an extended attribute.
    large = Path(engine.inspect(f"{name}-data")["Mountpoint"]) / "sub/large"
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    os.setxattr(large, "security.capability", capability)


def backup(repository: Repository, docker: DockerHypervisor, **options: object) -> RestorePoint:
    return hypersdk.backup_instance(
        repository,
        docker,
        "web",
        options=BackupOptions(**options),  # type: ignore[arg-type]
    )


def test_lost_and_brought_back(
    repository: Repository, docker: DockerHypervisor, engine: Dockerd
) -> None:
    filled(engine, docker)
    point = backup(repository, docker)
    assert {disk.name: disk.purpose for disk in point.disks} == {
        "rootfs": Purpose.ARCHIVE,
        "web-data": Purpose.ARCHIVE,
    }
    assert (point.definition_kind, point.consistency.value) == ("docker-json", "crash")
    before = contents(engine, "export", "web"), contents(engine, "cp", "web:/data", "-")
    assert any(each[7] for each in before[1].values())  # with the capability
    own = docker.inventory.instance("web")
    docker.lifecycle.stop("web", force=True)
    docker.lifecycle.delete("web", disks=True)
    assert not engine.left()
    done = hypersdk.restore_instance(
        repository, point, docker, options=ProvisionOptions(start=True)
    )
    assert done.started
    assert docker.inventory.instance("web") == own
    after = contents(engine, "export", "web"), contents(engine, "cp", "web:/data", "-")
    assert after == before


def test_what_is_restored_is_ours(
    repository: Repository, docker: DockerHypervisor, engine: Dockerd
) -> None:
    """Also when the container was another program's: its labels go on as tags."""
    labels = ("--label", "tier=gold")
    engine.run("run", "--detach", "--name", "web", *labels, "--network", "none", IMAGE, *RUNS)
    foreign = docker.inventory.instance("web")
    assert (foreign.owned, foreign.tags) == (False, {"tier": "gold"})
    point = backup(repository, docker)
    done = hypersdk.restore_instance(
        repository, point, docker, options=ProvisionOptions(placement=Placement(name="copy"))
    )
    restored = docker.inventory.instance(done.instance.name)
    assert (restored.owned, restored.tags) == (True, {"tier": "gold"})
    docker.lifecycle.delete("copy", disks=True)
    engine.run("rm", "--force", "web")
    assert not engine.left()


def test_secrets_are_sealed(
    repository: Repository, docker: DockerHypervisor, engine: Dockerd, tmp_path: Path
) -> None:
    filled(engine, docker)
    point = backup(repository, docker)
    for path in (tmp_path / "repository").rglob("*"):
        assert path.is_dir() or b"geheim" not in path.read_bytes()
    definition = repository.definition(point)
    assert definition is not None
    assert "PASSWORD=geheim" in json.loads(definition.content)["Config"]["Env"]


def test_to_files_that_tar_reads(
    repository: Repository, docker: DockerHypervisor, engine: Dockerd, tmp_path: Path
) -> None:
    filled(engine, docker)
    point = backup(repository, docker)
    out = tmp_path / "out"
    done = hypersdk.restore(repository, point, out)
    assert sorted(each.path.name for each in done) == ["rootfs.tar", "web-data.tar"]
    unpacked = tmp_path / "unpacked"
    unpacked.mkdir()
    said = subprocess.run(
        ["tar", "-xf", out / "web-data.tar", "-C", unpacked], capture_output=True, check=True
    )
    assert not said.stderr
    assert (unpacked / "data/plain").read_text() == "plain\n"
    assert (unpacked / "data/plain").samefile(unpacked / "data/hard")
    large = engine.sh("web", "sha256sum < /data/sub/large").split()[0]
    mine = subprocess.run(
        ["sha256sum", unpacked / "data/sub/large"], capture_output=True, check=True
    )
    assert mine.stdout.split()[0] == large
    with pytest.raises(InvalidInput, match="tar archive"):
        hypersdk.restore(
            repository, point, tmp_path / "image", options=RestoreOptions(format="qcow2")
        )


def test_a_small_change_stores_little(
    repository: Repository, docker: DockerHypervisor, engine: Dockerd
) -> None:
    running(docker, memory=256 * MIB, **volume("web-data"))
    engine.sh(
        "web",
        "mkdir /data/small; i=0; while [ $i -lt 2000 ]; do i=$((i+1)); "
        "head -c $((i * 7 % 16000)) /dev/urandom > /data/small/$i; done; "
        "head -c 20000000 /dev/urandom > /data/large",
    )
    first = backup(repository, docker)
    engine.sh("web", "echo new > /data/small/0; head -c 3000 /dev/urandom > /data/small/1500")
    second = backup(repository, docker)
    stored = [sum(disk.statistics.stored for disk in point.disks) for point in (first, second)]
    assert stored[0] > 30 * MIB
    assert stored[1] < 4 * MIB
    third = backup(repository, docker)
    assert sum(disk.statistics.stored for disk in third.disks) == 0


def test_cancelled_it_runs_on(
    repository: Repository, docker: DockerHypervisor, engine: Dockerd
) -> None:
    filled(engine, docker)
    token = hypersdk.CancelToken()
    with pytest.raises(Interrupted):
        hypersdk.backup_instance(
            repository, docker, "web", reporter=stopping(token, MIB), cancel=token
        )
    assert docker.inventory.instance("web").state is InstanceState.RUNNING
    token = hypersdk.CancelToken()
    token.cancel()
    with pytest.raises(Interrupted):
        hypersdk.backup_instance(repository, docker, "web", cancel=token)
    assert docker.inventory.instance("web").state is InstanceState.RUNNING


def test_a_cancelled_restore_leaves_nothing(
    repository: Repository, docker: DockerHypervisor, engine: Dockerd
) -> None:
    filled(engine, docker)
    point = backup(repository, docker)
    before = engine.left()
    token = hypersdk.CancelToken()
    options = ProvisionOptions(placement=Placement(name="copy"))
    with pytest.raises(Interrupted):
        hypersdk.restore_instance(
            repository,
            point,
            docker,
            options=options,
            reporter=stopping(token, MIB),
            cancel=token,
        )
    assert engine.left() == before
    with pytest.raises(NotSupported, match="in place"):
        hypersdk.revert_instance(repository, point, docker, "web")
