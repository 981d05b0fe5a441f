"""What may go wrong, found before anything is begun.

``check.py`` gathers what is known into a `Subject` and runs all rules on it. Rules live in one
small file per subject; docs/preflight.md lists them all.
"""
