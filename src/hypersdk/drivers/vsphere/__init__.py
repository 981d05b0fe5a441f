"""The driver for vCenter and ESXi: ``vsphere://user@host/datacenter``."""
