from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest
import structlog

from hypersdk.observe.log import configure_logging, get_logger

SECRET = "hunter2-Zq9"
log = get_logger("hypersdk.tests.log")


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Where the log goes, which is as before afterwards."""
    top, ours = logging.getLogger(), logging.getLogger("hypersdk")
    before = top.handlers[:], top.level, ours.level
    yield io.StringIO()
    top.handlers[:], top.level = before[0], before[1]
    ours.setLevel(before[2])


def fail(error: Exception) -> None:
    raise error


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_json_has_one_object_per_line(stream: io.StringIO) -> None:
    configure_logging("debug", json=True, stream=stream)
    log.debug("pack stored", pack="ab", size=3, nothing=None)
    (event,) = lines(stream)
    assert str(event.pop("timestamp")).endswith("+00:00")
    assert event == {
        "level": "debug",
        "logger": "hypersdk.tests.log",
        "event": "pack stored",
        "pack": "ab",
        "size": 3,
        "nothing": None,
    }


def test_people_get_a_line(stream: io.StringIO) -> None:
    configure_logging(stream=stream)
    log.info("pack stored", pack="ab", size=3)
    clock, rest = stream.getvalue().rstrip("\n").split(" ", 1)
    assert len(clock) == len("03:42:32")
    assert rest.split() == ["[info", "]", "pack", "stored", "pack=ab", "size=3"]


@pytest.mark.parametrize("as_json", [False, True])
def test_no_secret_gets_out(stream: io.StringIO, as_json: bool) -> None:
    configure_logging("debug", json=as_json, stream=stream)
    log.warning("opening s3://me:%s@host", SECRET, passphrase=SECRET, url=f"x://a:{SECRET}@b")
    log.info("words %s", f"password={SECRET}")
    log.error("object", error=ValueError(f"token={SECRET}"), key=SECRET.encode())
    logging.getLogger("other.library").warning("sent Authorization: Bearer %s", SECRET)
    try:
        fail(ValueError(f"password={SECRET}"))
    except ValueError:
        log.exception("failed")
    with structlog.contextvars.bound_contextvars(api_key=SECRET, job="17"):
        log.info("bound")
    written = stream.getvalue()
    assert SECRET not in written
    assert written.count("***") >= 7
    assert "ValueError" in written
    assert "17" in written


def test_a_traceback_is_kept(stream: io.StringIO) -> None:
    configure_logging(json=True, stream=stream)
    try:
        fail(OSError(5, "Input/output error"))
    except OSError:
        log.exception("read failed", disk="vda")
    (event,) = lines(stream)
    assert event["event"] == "read failed"
    assert "Input/output error" in str(event["exception"])
    assert "test_a_traceback_is_kept" in str(event["exception"])


def test_levels(stream: io.StringIO) -> None:
    configure_logging("warning", json=True, stream=stream)
    log.info("quiet")
    log.warning("loud")
    logging.getLogger("other.library").info("quiet")
    assert [event["event"] for event in lines(stream)] == ["loud"]
    configure_logging("debug", json=True, stream=stream)
    log.debug("now")
    logging.getLogger("other.library").info("still quiet")
    assert [event["event"] for event in lines(stream)] == ["loud", "now"]


def test_fields_never_hide_what_the_log_says_itself(stream: io.StringIO) -> None:
    configure_logging(json=True, stream=stream)
    log.info("verified", level="content", name="x", module="y", timestamp=1, args=(1, 2))
    (event,) = lines(stream)
    assert (event["level"], event["level_"], event["timestamp_"]) == ("info", "content", 1)
    assert (event["name"], event["module"], event["args"]) == ("x", "y", [1, 2])


def test_handlers_of_others_get_clean_text(stream: io.StringIO) -> None:
    handler = logging.StreamHandler(stream)
    logging.getLogger().addHandler(handler)
    log.warning("100% of pack stored", size=3, token=SECRET)
    assert stream.getvalue() == "100% of pack stored size=3 token=***\n"


def test_a_library_says_nothing_unasked() -> None:
    program = (
        "from hypersdk.observe.log import get_logger\n"
        "get_logger('hypersdk.x').error('nobody asked')"
    )
    run = [sys.executable, "-c", program]
    done = subprocess.run(run, check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")
