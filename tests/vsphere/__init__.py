"""Tests against the vSphere lab: a simulated vCenter whose disks have real bytes."""
