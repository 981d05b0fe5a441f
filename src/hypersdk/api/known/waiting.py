"""Jobs whose results a caller waits for, as long as a request may take."""

from __future__ import annotations

import time

from hypersdk.api.services import Services
from hypersdk.model.errors import HyperSDKError, HypervisorError, Interrupted
from hypersdk.model.jobs import Job, JobState

#: Seconds between looks at a job.
_LOOK = 0.1
#: Seconds that a caller waits unless it says otherwise.
USUAL = 25.0


def ended(services: Services, id: str, seconds: float) -> Job | None:
    """The job once it has ended; None when it goes on after ``seconds``."""
    deadline = time.monotonic() + seconds
    while True:
        found = services.jobs.get(id)
        if found.state.ended:
            return found
        if time.monotonic() >= deadline:
            return None
        time.sleep(_LOOK)


def failure(job: Job) -> HyperSDKError:
    """Of a job that did not complete, as an error."""
    if job.state is JobState.CANCELLED:
        return Interrupted(f"job {job.id} was cancelled", hint="Submit it again.")
    error = job.error
    message = error.message if error else "it does not say why"
    hint = error.hint if error else ""
    return HypervisorError(f"job {job.id} failed: {message}", hint=hint)
