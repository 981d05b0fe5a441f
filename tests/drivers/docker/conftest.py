from tests.containers.fixtures import docker, dockerd, engine  # noqa: F401
