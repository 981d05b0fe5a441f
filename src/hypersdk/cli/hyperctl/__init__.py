"""``hyperctl``: the daemon's client. It speaks HTTP only."""
