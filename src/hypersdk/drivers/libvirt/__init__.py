"""KVM through libvirt: ``libvirt+qemu:///system``, and whatever else libvirt connects to."""
