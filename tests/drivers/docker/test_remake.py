from __future__ import annotations

from hypersdk.drivers.docker import remake
from hypersdk.drivers.docker.driver import DockerHypervisor
from tests.containers.dockerd import IMAGE, RUNS, Dockerd


def test_all_that_was_asked_for(docker: DockerHypervisor, engine: Dockerd) -> None:
    engine.run(
        *("create", "--name", "web", "--restart", "on-failure:3", "--cap-add", "NET_ADMIN"),
        *("--user", "lab", "--workdir", "/tmp", "--hostname", "www", "--tmpfs", "/scratch"),
        *("--volume", "/unnamed", "--volume", "named:/named", "--volume", "/tmp:/host:ro"),
        *("--mount", "type=bind,source=/etc,target=/etc2,readonly", "--ulimit", "nofile=99"),
        *("--log-opt", "max-size=1m", "--sysctl", "net.ipv4.ip_forward=1", IMAGE, *RUNS),
    )
    found = engine.inspect("web")
    config = remake.configuration(found, IMAGE, {"new": "label"}, volumes={"named": "other"})
    assert config["Labels"] == {"new": "label"}
    assert config["Hostname"] == "www"
    for key in ("User", "WorkingDir", "Cmd", "Entrypoint"):
        assert config[key] == found["Config"][key]
    for key in ("RestartPolicy", "CapAdd", "Tmpfs", "Ulimits", "LogConfig", "Sysctls"):
        assert config["HostConfig"][key] == found["HostConfig"][key]
    mounts = {mount["Target"]: mount for mount in config["HostConfig"]["Mounts"]}
    assert set(mounts) == {"/unnamed", "/named", "/etc2"}
    assert mounts["/named"]["Source"] == "other"
    assert mounts["/etc2"]["ReadOnly"]
    assert config["HostConfig"]["Binds"] == ["/tmp:/host:ro"]


def test_a_chosen_host_name_is_not_kept(engine: Dockerd) -> None:
    engine.run("create", "--name", "web", IMAGE, "true")
    found = engine.inspect("web")
    assert "Hostname" not in remake.configuration(found, IMAGE, {})
