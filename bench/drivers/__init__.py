"""What our drivers cost beyond the calls of the libraries that they use.

The labs are those of the tests: private daemons, machines that run emulated. Needs root.
``scripts/bench drivers`` runs it.
"""
