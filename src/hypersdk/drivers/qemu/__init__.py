"""What drivers of QEMU share, whoever starts it: libvirt, or we ourselves."""
