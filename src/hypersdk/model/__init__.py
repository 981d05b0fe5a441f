"""Frozen records and the error tree. No I/O, no clock, no third-party import."""
