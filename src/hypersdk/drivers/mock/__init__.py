"""A simulated hypervisor with real disk files and a real record of changed blocks."""
