"""Files as an instance of any hypervisor."""
