"""What tests of several folders share: a real S3-compatible server (moto's)."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from urllib.request import Request, urlopen
from uuid import uuid4

import pytest
from hypothesis import settings

BUCKET = "lab"

# Some tests press Ctrl-C. A shell that starts the tests in the background has it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says more about what else runs on the machine than about the code.
settings.register_profile("hypersdk", deadline=None)
settings.load_profile("hypersdk")


@pytest.fixture(autouse=True)
def unconfigured_log() -> None:
    """Logging begins as in a new process: commands that ran before in this one configured it."""
    top = logging.getLogger()
    for handler in top.handlers[:]:
        if type(handler).__module__ == "hypersdk.observe.log":
            top.removeHandler(handler)
    top.setLevel(logging.WARNING)
    logging.getLogger("hypersdk").setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The URL of a server with one bucket, ``lab``."""
    from moto.server import ThreadedMotoServer  # noqa: PLC0415 - slow to import, needed by few

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    url = f"http://{host}:{port}"
    urlopen(Request(f"{url}/{BUCKET}", method="PUT"), timeout=10).close()
    yield url
    server.stop()


@pytest.fixture
def s3_location(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty place in the bucket, with the environment that leads there."""
    for name in ("AWS_SESSION_TOKEN", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    return f"s3://{BUCKET}/tests/{uuid4().hex}"
