"""Ways to get machines out of vSphere: through the daemon, by its command ``hyperctl``.

``HYPERCTL_AVAILABLE`` says that this module can be imported, not that the command is there: a call
that does not find the command says so.
"""

from __future__ import annotations

from hyper2kvm.vmware.transports.hyperctl_common import (
    HyperCtlRunner,
    create_hyperctl_runner,
    export_vm_hyperctl,
)

HYPERCTL_AVAILABLE = True

__all__ = ["HYPERCTL_AVAILABLE", "HyperCtlRunner", "create_hyperctl_runner", "export_vm_hyperctl"]
