"""Handlers of ``/libvirt`` and ``/console``: by the parts of the drivers' port, so that they also
work on other hypervisors as far as these have the parts."""
