"""QEMU without libvirt, over its own monitor protocol."""
