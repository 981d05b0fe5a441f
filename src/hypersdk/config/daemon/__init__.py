"""The daemon's settings: a file, the environment and flags, read into one frozen record."""

from hypersdk.config.daemon.changes import Changes, compare, merge
from hypersdk.config.daemon.loading import (
    Examined,
    Problem,
    examine_daemon_settings,
    load_daemon_settings,
)
from hypersdk.config.daemon.settings import DaemonSettings, default_state_dir

__all__ = [
    "Changes",
    "DaemonSettings",
    "Examined",
    "Problem",
    "compare",
    "default_state_dir",
    "examine_daemon_settings",
    "load_daemon_settings",
    "merge",
]
