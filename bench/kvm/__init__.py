"""Backups of a running KVM guest, beside virtnbdbackup.

The lab is that of the tests, ``tests/kvm``: a libvirtd of our own and a guest that runs emulated.
Needs root. ``scripts/bench kvm`` runs it.
"""
