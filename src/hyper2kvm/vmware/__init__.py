"""Machines of VMware."""
