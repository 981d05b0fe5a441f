"""Whole instances as portable files: OVF descriptors, their manifests, OVA archives."""
