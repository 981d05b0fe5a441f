"""How a command that failed says so, and with which exit status it ends."""

from __future__ import annotations

import os
import sys
import traceback

import click

from hypersdk import HyperSDKError, PartialFailure
from hypersdk.cli.terminal import Document, Terminal

EXIT_FAILURE, EXIT_USAGE, EXIT_INTERRUPTED = 1, 2, 130


def report(error: BaseException, terminal: Terminal) -> int:
    """Tell the error on stderr, and in the JSON document. Returns the exit status."""
    try:
        if isinstance(error, BrokenPipeError):
            raise error
        return _report(error, terminal)
    except BrokenPipeError:
        leave_quietly(terminal)
        return EXIT_FAILURE


def _report(error: BaseException, terminal: Terminal) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError) and not terminal.json:
        terminal.complain(error.message)
        return EXIT_USAGE
    document = describe(error)
    tell("hypersdk", error, document, terminal)
    terminal.finish(error=document)
    status = document["exit_code"]
    assert isinstance(status, int)
    return status


def tell(program: str, error: BaseException, document: Document, terminal: Terminal) -> None:
    """The error in lines for a person. ``document``: what `describe` made of it."""
    terminal.complain(f"{program}: {document['message']}")
    if isinstance(error, PartialFailure):
        for part, failure in error.failures.items():
            terminal.complain(f"  {part}: {failure.message}")
            if failure.hint:
                terminal.complain(f"    {failure.hint}")
    if document["hint"]:
        terminal.complain(f"  {document['hint']}")
    if terminal.debug:
        terminal.complain("".join(traceback.format_exception(error)).rstrip())


def describe(error: BaseException, program: str = "hypersdk") -> Document:
    """The error as an object: kind, message, hint, exit_code, and the failures of its parts."""
    match error:
        case PartialFailure():
            document = _document(error, error.message, error.hint, error.exit_code)
            document["failures"] = {
                part: describe(failure) for part, failure in error.failures.items()
            }
            return document
        case HyperSDKError():
            return _document(error, error.message, error.hint, error.exit_code)
        case click.UsageError():
            return _document(error, *_usage(error, program), EXIT_USAGE)
        case click.ClickException():
            return _document(error, error.format_message(), "", error.exit_code)
        case KeyboardInterrupt() | click.Abort():
            return _document(error, "interrupted", "", EXIT_INTERRUPTED, kind="Interrupted")
        case OSError() if error.strerror:
            where = f"{error.filename}: " if error.filename else ""
            return _document(error, f"{where}{error.strerror}", "", EXIT_FAILURE)
    return _document(
        error,
        f"unexpected {type(error).__name__}: {error}",
        "This is a fault of hypersdk. Run it again with --debug to see where it comes from.",
        EXIT_FAILURE,
    )


def _document(
    error: BaseException, message: str, hint: str, exit_code: int, kind: str | None = None
) -> Document:
    return {
        "kind": kind or type(error).__name__,
        "message": message,
        "hint": hint,
        "exit_code": exit_code,
    }


def _usage(error: click.UsageError, program: str) -> tuple[str, str]:
    message = error.format_message().rstrip(".")
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        message = "no command was given"
    if isinstance(error, click.exceptions.NoSuchOption | click.exceptions.NoSuchCommand):
        # Click's own words list everything that is somehow alike.
        near = f". Did you mean '{error.possibilities[0]}'?" if error.possibilities else ""
        message = error.message.rstrip(".") + near
    where = error.ctx.command_path if error.ctx is not None else program
    return message[:1].lower() + message[1:], f"See: {where} --help"


def leave_quietly(terminal: Terminal) -> None:
    """``hypersdk … | head``: nobody reads on. Python must not fail to flush at its end either."""
    sink = os.open(os.devnull, os.O_WRONLY)
    for stream in (terminal.stdout, terminal.stderr):
        if stream in (sys.stdout, sys.stderr):
            os.dup2(sink, stream.fileno())
    os.close(sink)
