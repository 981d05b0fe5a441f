"""How bytes of disks move: two ports, their kinds, and one pipeline."""
