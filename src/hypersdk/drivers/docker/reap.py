"""``python -m hypersdk.drivers.docker.reap RECORD``: started when a run died, to clean up at once.

Nobody reads its output: what it cannot do is left for ``hypersdk doctor --reap`` and the next run.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hypersdk.drivers.docker.address import address
from hypersdk.drivers.docker.connection import Connection
from hypersdk.drivers.docker.leftovers import clean
from hypersdk.drivers.docker.pausing import dead_record


def main(path: Path) -> None:
    """Resume the container that the record is about."""
    for found, record in dead_record(path):
        connection = Connection(address(record.url))
        clean(connection, found, record)
        connection.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
