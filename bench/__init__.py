"""The benchmark: this project beside its peers, on one image, in one run, on one machine.

``scripts/bench`` runs it; ``python -m bench --help`` lists what it can do. It is not part of the
installed package.
"""
