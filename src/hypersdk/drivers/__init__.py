"""Hypervisors behind small optional parts. One folder per hypervisor, same file names in each."""
