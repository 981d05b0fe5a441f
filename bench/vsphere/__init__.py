"""Exports, incremental backups and lists of a vSphere, beside govc and plain pyVmomi.

The vCenter is the lab of the tests, on loopback. ``scripts/bench vsphere`` runs it.
"""
