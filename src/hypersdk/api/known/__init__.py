"""Translation between the known routes and what the daemon really has."""
