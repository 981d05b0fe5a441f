"""Exports through the daemon, by running its command ``hyperctl``.

Signatures, arguments of the command and errors are those that programs rely on. What a caller
chooses besides the defaults reaches the daemon too: its URL by the command's environment, the
number of parallel downloads by an argument.
"""

from __future__ import annotations

import logging
import os
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hyper2kvm.core.exceptions import VMwareError

logger = logging.getLogger(__name__)

DEFAULT_URL = "http://localhost:8080"
DEFAULT_COMMAND = "hyperctl"
#: Seconds that one run of the command may take.
DEFAULT_TIMEOUT = 3600
DEFAULT_PARALLEL = 4
URL_VARIABLE = "HYPERVISORD_URL"
COMMAND_VARIABLE = "HYPERCTL_PATH"

ProgressCallback = Callable[[dict[str, Any]], None]

_ANSI = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]")
#: Between the cells of a table: its lines, tabs, or two spaces and more.
_CELLS = re.compile(r"\s*[│|]\s*|\t+| {2,}")
_STATUS_LINE = re.compile(r"(?im)^\s*(?:[-*•]\s*)?status\s*:\s*([a-z]+)")
_ENDED = ("completed", "failed", "cancelled")


@dataclass
class HyperCtlConfig:
    """Where the daemon and its command are."""

    daemon_url: str = DEFAULT_URL
    hyperctl_path: str = DEFAULT_COMMAND
    #: Seconds per run of the command.
    timeout: int = DEFAULT_TIMEOUT


class HyperCtlRunner:
    """Runs ``hyperctl``. Every method raises VMwareError."""

    def __init__(
        self,
        daemon_url: str = DEFAULT_URL,
        hyperctl_path: str = DEFAULT_COMMAND,
        timeout: int = DEFAULT_TIMEOUT,
    ) -> None:
        self.daemon_url = daemon_url
        self.hyperctl_path = hyperctl_path
        self.timeout = timeout
        self.logger = logger

    def _run_command(self, args: list[str], check: bool = True) -> subprocess.CompletedProcess[str]:
        more: dict[str, Any] = {}
        if self.daemon_url != DEFAULT_URL:
            more["env"] = {**os.environ, URL_VARIABLE: self.daemon_url}
        try:
            return subprocess.run(
                [self.hyperctl_path, *args],
                capture_output=True,
                text=True,
                timeout=self.timeout,
                check=check,
                **more,
            )
        except subprocess.TimeoutExpired as error:
            raise VMwareError(
                msg=f"hyperctl {args[0]} timed out after {self.timeout}s", cause=error
            ) from error
        except subprocess.CalledProcessError as error:
            raise VMwareError(msg=f"hyperctl failed: {error.stderr}", cause=error) from error
        except FileNotFoundError as error:
            raise VMwareError(
                msg=f"hyperctl not found at {self.hyperctl_path}: install hypersdk[client], "
                f"or set {COMMAND_VARIABLE} to its path",
                cause=error,
            ) from error
        except OSError as error:
            raise VMwareError(
                msg=f"hyperctl at {self.hyperctl_path} cannot be run: {error.strerror}",
                cause=error,
            ) from error

    def check_daemon_status(self) -> dict[str, Any]:
        """``{"status": "running", "output": …}``, when the daemon answers."""
        done = self._run_command(["status"], check=False)
        if done.returncode != 0:
            said = (done.stderr or done.stdout or "").strip()
            raise VMwareError(msg=f"hypervisord at {self.daemon_url} does not answer: {said}")
        return {"status": "running", "output": done.stdout}

    def submit_export_job(
        self,
        vm_path: str,
        output_path: str,
        parallel_downloads: int = DEFAULT_PARALLEL,
        remove_cdrom: bool = True,  # noqa: ARG002 - nothing of the source is ever removed
    ) -> str:
        """The id of the job."""
        args = ["submit", "-vm", vm_path, "-output", output_path]
        if parallel_downloads != DEFAULT_PARALLEL:
            args += ["-parallel", str(parallel_downloads)]
        done = self._run_command(args)
        for line in _plain(done.stdout).splitlines():
            if "job id:" in line.lower():
                return line.rpartition(":")[2].strip()
        raise VMwareError(msg=f"could not parse job ID from what hyperctl said: {done.stdout!r}")

    def query_job(self, job_id: str) -> dict[str, Any]:
        """``job_id``, ``output``, and ``status``, ``progress_percent`` when they can be read."""
        done = self._run_command(["query", "-id", job_id])
        found: dict[str, Any] = {"job_id": job_id, "output": done.stdout}
        row = _row(_plain(done.stdout))
        found |= {name: value for name, value in row.items() if name not in found}
        if status := row.get("status") or _status_line(_plain(done.stdout)):
            found["status"] = status.lower()
        if percent := re.search(r"([\d.]+)\s*%", row.get("progress", "")):
            found["progress_percent"] = float(percent[1])
        return found

    def wait_for_job_completion(
        self,
        job_id: str,
        poll_interval: float = 5,
        timeout: float | None = None,
        progress_callback: ProgressCallback | None = None,
    ) -> dict[str, Any]:
        """What `query_job` gives once the job completed. ``timeout``: seconds; None or 0: no
        bound. An exception of the callback is logged, and the waiting goes on."""
        began = time.time()
        while True:
            if timeout and time.time() - began > timeout:
                raise VMwareError(msg=f"Job {job_id} timed out after {timeout}s")
            status = self.query_job(job_id)
            ended = _ended(status)
            if ended == "completed":
                return status
            if ended:
                raise VMwareError(
                    msg=f"Job {job_id} {ended}", context={"output": status["output"].strip()}
                )
            if progress_callback is not None:
                try:
                    progress_callback(status)
                except Exception as error:  # noqa: BLE001 - a display must not end an export
                    self.logger.warning("the progress callback failed: %s", error)
            time.sleep(poll_interval)

    def export_vm(
        self,
        vm_path: str,
        output_path: str,
        parallel_downloads: int = DEFAULT_PARALLEL,
        remove_cdrom: bool = True,
        wait: bool = True,
        progress_callback: ProgressCallback | None = None,
    ) -> dict[str, Any]:
        """Make the folder, submit, and wait unless ``wait`` is False."""
        Path(output_path).mkdir(parents=True, exist_ok=True)
        job_id = self.submit_export_job(
            vm_path=vm_path,
            output_path=output_path,
            parallel_downloads=parallel_downloads,
            remove_cdrom=remove_cdrom,
        )
        if not wait:
            return {"job_id": job_id, "status": "submitted"}
        return self.wait_for_job_completion(job_id, progress_callback=progress_callback)


def create_hyperctl_runner(
    daemon_url: str | None = None, hyperctl_path: str | None = None
) -> HyperCtlRunner:
    """What is not given comes from ``HYPERVISORD_URL`` and ``HYPERCTL_PATH``."""
    return HyperCtlRunner(
        daemon_url=daemon_url or os.environ.get(URL_VARIABLE) or DEFAULT_URL,
        hyperctl_path=hyperctl_path or os.environ.get(COMMAND_VARIABLE) or DEFAULT_COMMAND,
    )


def export_vm_hyperctl(
    vm_path: str,
    output_path: str,
    parallel_downloads: int = DEFAULT_PARALLEL,
    remove_cdrom: bool = True,
    daemon_url: str | None = None,
    progress_callback: ProgressCallback | None = None,
    wait: bool = True,
) -> dict[str, Any]:
    """Export a machine through the daemon. Raises VMwareError."""
    runner = create_hyperctl_runner(daemon_url=daemon_url)
    given: dict[str, Any] = {} if wait else {"wait": False}
    return runner.export_vm(
        vm_path=vm_path,
        output_path=output_path,
        parallel_downloads=parallel_downloads,
        remove_cdrom=remove_cdrom,
        progress_callback=progress_callback,
        **given,
    )


def _plain(text: str) -> str:
    return _ANSI.sub("", text)


def _row(text: str) -> dict[str, str]:
    """Column → cell of the first row of the table that has a column of that name."""
    header: list[str] = []
    for line in text.splitlines():
        cells = [cell for cell in _CELLS.split(line.strip().strip("│|").strip()) if cell]
        if header and len(cells) == len(header):
            return dict(zip(header, cells, strict=True))
        lowered = [cell.lower().replace(" ", "_") for cell in cells]
        if len(lowered) > 1 and "status" in lowered:
            header = lowered
    return {}


def _status_line(text: str) -> str:
    found = _STATUS_LINE.search(text)
    return found[1] if found else ""


def _ended(status: dict[str, Any]) -> str:
    """How the job ended; empty while it has not. Read from the status alone where there is one:
    a machine may be called 'failed'."""
    if known := str(status.get("status", "")):
        return known if known in _ENDED else ""
    output = _plain(str(status.get("output", ""))).lower()
    return next((word for word in _ENDED if word in output), "")
