"""Joins settings, stores, flows and the API to the processes of the daemon."""
