"""Targets of our own drivers; other drivers announce theirs as entry points."""
