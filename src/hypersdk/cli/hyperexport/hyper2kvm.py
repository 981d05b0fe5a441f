"""Handing an export to hyper2kvm: run as a program, or fed by the folder that it watches."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from pathlib import Path

from hypersdk import Exported, MissingRequirement
from hypersdk.cli import words
from hypersdk.cli.hyperexport.exits import HandoverFailed
from hypersdk.cli.hyperexport.names import sanitized
from hypersdk.cli.hyperexport.options.handover import Pipeline, Queue
from hypersdk.cli.terminal import Terminal
from hypersdk.observe.redact import redact_text

PROGRAM = "hyper2kvm"
MANIFEST = "artifact-manifest.json"
#: How it says which files it wrote.
_WRITES = ("Output:", "Wrote:")
#: Lines of it that an error repeats.
_LAST_LINES = 5
#: Seconds that it has to end once it was asked to.
_GRACE = 5.0


def convert(terminal: Terminal, pipeline: Pipeline, exported: Exported) -> tuple[Path, ...]:
    """Run it on the manifest; the files that it says it wrote.

    Raises HandoverFailed when its status is not 0 or time runs out, MissingRequirement.
    """
    name = exported.instance.name
    command = [_program(pipeline.program), str(_manifest(exported))]
    if pipeline.dry_run:
        command.append("--dry-run")
    terminal.note(f"{name}: {PROGRAM} begins")
    began = time.monotonic()
    status, lines, outputs = _watched(terminal, command, pipeline)
    if status is None:
        raise HandoverFailed(
            f"{name}: {PROGRAM} was ended, it took longer than {words.duration(pipeline.timeout)}",
            hint="The export is complete. Give it more time: --pipeline-timeout 2h",
        )
    if status != 0:
        said = "".join(f"\n  {line}" for line in lines)
        raise HandoverFailed(
            f"{name}: {PROGRAM} ended with status {status}{said}",
            hint=f"The export is complete. To try again: {PROGRAM} {_manifest(exported)}",
        )
    terminal.note(f"{name}: {PROGRAM} done in {words.duration(time.monotonic() - began)}")
    return tuple(Path(output) for output in outputs)


def _program(named: str) -> str:
    found = shutil.which(named or PROGRAM)
    if found is None:
        raise MissingRequirement(
            f"there is no program {named or PROGRAM}",
            hint="Install hyper2kvm, or name the program: --hyper2kvm-path PROGRAM. "
            "The export is complete.",
        )
    return found


def _manifest(exported: Exported) -> Path:
    return exported.folder / MANIFEST


def _watched(
    terminal: Terminal, command: list[str], pipeline: Pipeline
) -> tuple[int | None, list[str], list[str]]:
    """Status (None: time ran out), its last lines, and the names of what it wrote."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="backslashreplace",
        start_new_session=True,  # so that what it starts ends with it
    )
    late = threading.Event()

    def give_up() -> None:
        late.set()
        _end(process)

    timer = threading.Timer(pipeline.timeout, give_up)
    timer.start()
    last: deque[str] = deque(maxlen=_LAST_LINES)
    outputs: list[str] = []
    try:
        assert process.stdout is not None
        for line in process.stdout:
            text = redact_text(line.rstrip())
            last.append(text)
            outputs += [text.partition(":")[2].strip()] if text.startswith(_WRITES) else []
            if pipeline.stream:
                terminal.note(text)
        status = process.wait()
    finally:
        timer.cancel()
        _end(process)
        if process.stdout is not None:
            process.stdout.close()
    return (None if late.is_set() else status), list(last), outputs


def _end(process: subprocess.Popen[str]) -> None:
    """Ask it to end, all that it started too, and insist after a while."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        os.killpg(process.pid, number)
        try:
            process.wait(_GRACE)
        except subprocess.TimeoutExpired:
            continue


def enqueue(terminal: Terminal, queue: Queue, exported: Exported) -> Path:
    """Put the manifest into the watched folder and wait for the converted disk.

    Raises HandoverFailed, MissingRequirement when there is no such folder.
    """
    name = exported.instance.name
    if not queue.folder.is_dir():
        raise MissingRequirement(
            f"there is no folder {queue.folder}, so no {PROGRAM} watches it",
            hint="Start its service, or name its folder: --hyper2kvm-watch-dir DIR. "
            "The export is complete.",
        )
    base = sanitized(name)
    _put(queue.folder / f"{base}.json", _absolute(_manifest(exported)))
    terminal.note(f"{name}: handed to {PROGRAM} by {queue.folder}")
    wanted, failed = queue.output / f"{base}.qcow2", queue.output / f"{base}.error"
    deadline = time.monotonic() + queue.timeout
    while time.monotonic() < deadline:
        if failed.exists():
            said = redact_text(failed.read_text(errors="backslashreplace").strip())
            raise HandoverFailed(
                f"{name}: {PROGRAM} failed: {said or 'it does not say why'}",
                hint="The export is complete.",
            )
        if wanted.exists():
            terminal.note(f"{name}: converted to {wanted}")
            return wanted
        time.sleep(queue.every)
    raise HandoverFailed(
        f"{name}: {PROGRAM} did not write {wanted} within {words.duration(queue.timeout)}",
        hint="The export is complete. Wait longer: --hyper2kvm-daemon-timeout 3h",
    )


def _absolute(manifest: Path) -> bytes:
    """The manifest as it has to be when it lies elsewhere than its disks."""
    document = json.loads(manifest.read_text())
    for disk in document["disks"]:
        disk["local_path"] = str((manifest.parent / disk["local_path"]).absolute())
    return json.dumps(document, indent=2).encode()


def _put(path: Path, content: bytes) -> None:
    """Whole or not at all: the folder is watched."""
    unfinished = path.with_name(f".{path.name}.partial")
    try:
        descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as file:
            file.write(content)
        os.replace(unfinished, path)
    except OSError as error:
        raise HandoverFailed(
            f"cannot write to {path.parent}: {error.strerror}",
            hint="The export is complete. Run it as a user who may write there.",
        ) from error
