"""The command ``hyperexport``."""
