"""A client of the daemon, for programs and for ``hyperctl``::

    from hypersdk.client import Client

    with Client("https://backup.example:8443", token="env:HYPERCTL_TOKEN") as client:
        job = client.jobs.submit("backup", {"hypervisor": "lab", "instance": "web", …})
        client.jobs.wait(job.id)

It calls the routes of `hypersdk.contract` and gives their records.
"""

from __future__ import annotations

from hypersdk.client.client import Client

__all__ = ["Client"]
