"""What only containers offer. Their images have a shell, ``cat``, ``sleep`` and ``env``."""

from __future__ import annotations

import io
import tarfile
import threading
import time
from functools import partial
from uuid import uuid4

from hypersdk.conformance import expect
from hypersdk.conformance.case import case
from hypersdk.conformance.lab import Lab
from hypersdk.model.errors import InvalidInput, InvalidState, NotFound, OperationTimeout
from hypersdk.model.instances import InstanceState


@case("execution")
def commands_answer(lab: Lab) -> None:
    """A command's output, errors and exit code come back apart."""
    name = lab.running().name
    done = lab.execution.run(name, ("sh", "-c", "echo out; echo err >&2; exit 7"))
    expect.equal((done.exit_code, done.stdout, done.stderr), (7, b"out\n", b"err\n"), "its answer")


@case("execution")
def commands_get_their_input(lab: Lab) -> None:
    """A command reads all of its input, and sees its end."""
    name = lab.running().name
    data = bytes(range(256)) * 1024
    done = lab.execution.run(name, ("cat",), stdin=data)
    expect.equal(done.exit_code, 0, "its exit code")
    expect.true(
        done.stdout == data, f"{len(done.stdout)} of {len(data)} bytes came back, or others"
    )


@case("execution")
def commands_get_their_variables(lab: Lab) -> None:
    """A command has the variables that it is given; words stay words."""
    name = lab.running().name
    done = lab.execution.run(
        name, ("sh", "-c", 'echo "$KIT:$1"', "sh", "a  b;c"), env={"KIT": "x y"}
    )
    expect.equal(done.stdout, b"x y:a  b;c\n", "its output")


@case("execution")
def missing_programs_are_not_found(lab: Lab) -> None:
    """A program that is not inside raises NotFound; the instance runs on."""
    name = lab.running().name
    expect.raises(NotFound, lambda: lab.execution.run(name, ("/no/such/kit",)), "no such program")
    expect.equal(lab.state(name), InstanceState.RUNNING, "its state")


@case("execution")
def stopped_ones_run_nothing(lab: Lab) -> None:
    """A command in a stopped instance raises InvalidState."""
    name = lab.create().name
    expect.raises(InvalidState, lambda: lab.execution.run(name, ("true",)), "running a command")


@case("execution.timeout")
def slow_commands_are_killed(lab: Lab) -> None:
    """A command that takes too long raises OperationTimeout, and does not run on."""
    name = lab.running().name
    mark = f"86{uuid4().int % 10_000}"
    expect.at_most(
        20,
        lambda: expect.raises(
            OperationTimeout,
            lambda: lab.execution.run(name, ("sleep", mark), timeout=1),
            "a command of one day",
        ),
        "a command with a second",
    )

    def processes() -> bytes:
        command = 'cat /proc/[0-9]*/cmdline 2>/dev/null | tr "\\0" " "'
        return lab.execution.run(name, ("sh", "-c", command)).stdout

    lab.eventually(
        processes, lambda found: f"sleep {mark}".encode() not in found, "processes inside"
    )


@case("execution")
def many_commands_at_once(lab: Lab) -> None:
    """Ten commands at once each get their own answer."""
    name = lab.running().name
    answers = lab.at_once(
        *(
            lambda number=number: lab.execution.run(name, ("echo", str(number))).stdout
            for number in range(10)
        )
    )
    expect.equal(answers, [f"{number}\n".encode() for number in range(10)], "answers")


_TALK = ("sh", "-c", "echo one; echo two >&2; echo three; while :; do sleep 1; echo more; done")


@case("logs")
def logs_are_read(lab: Lab) -> None:
    """What the first process wrote is read, in order; ``tail`` gives the last lines."""
    name = lab.running(command=_TALK).name
    said = lab.eventually(
        lambda: lab.logs.read(name), lambda log: b"three\n" in log, "what it wrote"
    )
    expect.equal({*said.split()[:3]}, {b"one", b"two", b"three"}, "the first lines")
    lab.lifecycle.stop(name, force=True)
    whole = lab.logs.read(name).splitlines()
    expect.equal(lab.logs.read(name, tail=1).splitlines(), whole[-1:], "the last line")


@case("logs")
def logs_of_a_quiet_one_are_empty(lab: Lab) -> None:
    """An instance that never ran has written nothing."""
    expect.equal(lab.logs.read(lab.create().name), b"", "what it wrote")


@case("logs.follow")
def logs_are_followed(lab: Lab) -> None:
    """What the first process writes is heard, until the instance stops."""
    name = lab.running(command=_TALK).name
    heard: list[bytes] = []
    ended = threading.Event()

    def follow() -> None:
        heard.extend(lab.logs.follow(name))  # piece by piece, as they come
        ended.set()

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    lab.eventually(lambda: b"".join(heard), lambda log: b"more" in log, "what it writes")
    lab.lifecycle.stop(name, force=True)
    lab.eventually(ended.is_set, bool, "the end of following after a stop")


@case("images")
def the_image_is_listed(lab: Lab) -> None:
    """The image that instances are made from is listed; the list is in order."""
    wanted = lab.target.spec("kit").image
    names = [image.name for image in lab.images.images()]
    expect.true(
        any(wanted in (name, f"{name}:latest") or name.endswith(wanted) for name in names),
        f"'{wanted}' is not among {names}",
    )
    expect.equal(names, sorted(names), "names of images")


@case("images")
def missing_images_are_not_found(lab: Lab) -> None:
    """Deleting an image that is not there raises NotFound."""
    expect.raises(NotFound, lambda: lab.images.delete("kit-no-such-image:none"), "deleting it")


@case("images")
def images_in_use_stay(lab: Lab) -> None:
    """An image that an instance needs is not deleted."""
    made = lab.create()
    expect.raises(InvalidState, lambda: lab.images.delete(made.image), "deleting its image")
    lab.lifecycle.start(made.name)


@case("images.load")
def filesystems_become_images(lab: Lab) -> None:
    """A tar archive of a filesystem becomes an image, and is gone when it is deleted."""
    name = f"kit-{uuid4().hex[:8]}:one"
    lab.later(
        "delete an image",
        lambda parts: expect.tolerated(NotFound, lambda: parts.images.delete(name)),
    )
    with lab.nothing_left():
        loaded = lab.images.load(io.BytesIO(_archive({"word": b"inside"})), name)
        expect.equal(len(loaded), 1, "images that were loaded")
        names = [image.name for image in lab.images.images()]
        expect.true(any(found.endswith(name) for found in names), f"'{name}' is not in {names}")
        lab.images.delete(loaded[0].name)


@case("images.load")
def what_is_no_archive_is_refused(lab: Lab) -> None:
    """What is no archive raises InvalidInput, and nothing of it stays."""
    for data in (b"", b"no archive at all" * 100, _archive({"word": b"x" * 5000})[:2000]):
        with lab.nothing_left():
            expect.raises(
                InvalidInput,
                partial(lab.images.load, io.BytesIO(data)),
                f"loading {len(data)} bytes of something else",
            )


@case("archives")
def the_archive_is_whole(lab: Lab) -> None:
    """The exported filesystem is a tar archive of as many bytes as were reported."""
    target = io.BytesIO()
    size = lab.archives.export(lab.create().name, target)
    expect.equal(size, len(target.getvalue()), "bytes that were reported")
    target.seek(0)
    with tarfile.open(fileobj=target) as archive:
        names = archive.getnames()
    expect.true(any(name.lstrip("./") == "bin" or "bin/" in name for name in names), f"{names[:9]}")


@case("archives.content", needs=("execution",))
def what_was_written_is_in_the_archive(lab: Lab) -> None:
    """What was written inside is in the archive, byte for byte, while it runs."""
    name = lab.running().name
    data = bytes(range(256)) * 64
    lab.execution.run(name, ("sh", "-c", "cat > /kit.bin"), stdin=data)
    target = io.BytesIO()
    lab.archives.export(name, target)
    target.seek(0)
    with tarfile.open(fileobj=target) as archive:
        member = next((m for m in archive if m.name.lstrip("./") == "kit.bin"), None)
        content = archive.extractfile(member) if member is not None else None
        expect.true(content is not None and content.read() == data, "the file is not in it")


def _archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(data), int(time.time())
            archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
