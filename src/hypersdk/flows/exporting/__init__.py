"""An instance of any hypervisor as files: disks side by side, verified, resumable."""
