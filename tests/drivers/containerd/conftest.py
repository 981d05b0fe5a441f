from tests.containers.containerd import containerd  # noqa: F401
from tests.drivers.containerd.lab import lab  # noqa: F401
