"""Driver for Docker."""
