"""``python -m hypersdk.drivers.qmp.reap FOLDER``: started when a backup died, to clean up at once.

Nobody reads its output: what it cannot do is left for ``hypersdk doctor --reap`` and the next run.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hypersdk.drivers.qmp.leftovers import clean_view
from hypersdk.drivers.qmp.monitor import Monitors
from hypersdk.drivers.qmp.power import Power
from hypersdk.drivers.qmp.state import InstanceFolder

if __name__ == "__main__":
    instance = InstanceFolder(Path(sys.argv[1]))
    clean_view(Power(instance.path.parent, Monitors()), instance)
