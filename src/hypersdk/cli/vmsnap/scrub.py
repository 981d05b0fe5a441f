"""``vmsnap --scrub``"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import hypersdk
from hypersdk import CancelToken, HyperSDKError, Hypervisor, InstanceNotFound, Scrubbed, ScrubType
from hypersdk.cli.interrupts import cancelling
from hypersdk.cli.terminal import Terminal
from hypersdk.cli.vmsnap import domains, requirements
from hypersdk.cli.vmsnap.backup import SERIES
from hypersdk.cli.vmsnap.domains import Selection
from hypersdk.cli.vmsnap.exits import ScrubFailed, described, noting, raise_failures
from hypersdk.cli.vmsnap.locks import lock_folder, locked


@dataclass(frozen=True, slots=True)
class Options:
    selection: Selection
    what: ScrubType
    #: Only the checkpoint or bitmap of this name.
    name: str | None = None
    #: Seconds to wait for a domain that another vmsnap works on.
    wait: float = 0.0


def run(terminal: Terminal, options: Options) -> None:
    """Raises ScrubFailed for the only domain, or PartialFailure naming each that failed."""
    requirements.look_at_images()
    done: list[Scrubbed] = []
    failures: dict[str, HyperSDKError] = {}
    with domains.connected(options.selection) as hypervisor, cancelling(terminal) as cancel:
        selected = domains.select(hypervisor, options.selection)
        for name in selected.names:
            cancel.check()
            with noting(partial(failures.__setitem__, name)):
                done.append(_scrub(terminal, options, hypervisor, name, cancel))
                _show(terminal, done[-1])
        failures |= selected.unknown
    terminal.result(
        {
            "domains": [
                *(
                    {
                        "domain": each.instance,
                        "checkpoints": list(each.checkpoints),
                        "bitmaps": list(each.bitmaps),
                        "error": None,
                    }
                    for each in done
                ),
                *(
                    {"domain": name, "checkpoints": [], "bitmaps": [], "error": described(error)}
                    for name, error in failures.items()
                ),
            ]
        }
    )
    raise_failures("scrubbing", failures, selected.names)


def _scrub(
    terminal: Terminal, options: Options, hypervisor: Hypervisor, name: str, cancel: CancelToken
) -> Scrubbed:
    folder, uri = lock_folder(terminal.environment), options.selection.uri
    with locked(folder, uri, name, wait=options.wait, cancel=cancel):
        try:
            return hypersdk.scrub(hypervisor, name, options.what, series=SERIES, name=options.name)
        except InstanceNotFound:
            raise
        except HyperSDKError as error:
            raise ScrubFailed(error.message, hint=error.hint) from error


def _show(terminal: Terminal, scrubbed: Scrubbed) -> None:
    for checkpoint in scrubbed.checkpoints:
        terminal.line(f"{scrubbed.instance}: removed checkpoint {checkpoint}")
    for bitmap in scrubbed.bitmaps:
        terminal.line(f"{scrubbed.instance}: removed bitmap {bitmap}")
    if not (scrubbed.checkpoints or scrubbed.bitmaps):
        terminal.line(f"{scrubbed.instance}: nothing to remove")
