"""Structured log, progress events, redaction."""
