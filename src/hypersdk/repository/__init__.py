"""Restore points in a content-addressed store: chunks, packs, index, retention, collection."""
