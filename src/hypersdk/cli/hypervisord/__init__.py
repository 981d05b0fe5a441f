"""The command ``hypervisord``: the daemon and its upkeep."""
