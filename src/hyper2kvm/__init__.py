"""Conversion and migration to KVM. Nothing is published here yet."""
