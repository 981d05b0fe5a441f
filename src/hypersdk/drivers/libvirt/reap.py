"""``python -m hypersdk.drivers.libvirt.reap FOLDER``: started when a run died, to clean up at once.

Nobody reads its output: what it cannot do is left for ``hypersdk doctor --reap`` and the next run.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hypersdk.drivers.libvirt.leftovers import clean_folder

if __name__ == "__main__":
    clean_folder(Path(sys.argv[1]))
