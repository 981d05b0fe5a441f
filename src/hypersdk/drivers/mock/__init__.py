"""A simulated hypervisor with real disk files."""
