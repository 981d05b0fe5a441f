"""The commands by their names, each loaded when it is asked for: one run needs one of them."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from importlib import import_module

import click

#: Name → module of this package, and what the command is called there where that differs.
_COMMANDS = {
    "audit": "audit",
    "backup": "backup",
    "cancel": "cancel",
    "clone": "vcenter:clone",
    "cluster": "vcenter:cluster",
    "completion": "completion",
    "events": "events",
    "grep": "grep",
    "host": "vcenter:host",
    "hypervisor": "hypervisor",
    "job": "job",
    "list": "list:list_",
    "login": "login",
    "logout": "login:logout",
    "logs": "logs",
    "manifest": "manifest",
    "metrics": "vcenter:metrics",
    "pool": "vcenter:pool",
    "profile": "login:profile",
    "query": "query",
    "repo": "repo",
    "restore": "restore",
    "schedules": "schedules",
    "snapshot": "snapshot",
    "status": "status",
    "submit": "submit",
    "tenants": "users:tenants",
    "tokens": "tokens",
    "users": "users",
    "vm": "vm",
    "watch": "watch",
    "webhooks": "webhooks",
    "workflow": "manifest:workflow",
}


class Commands(MutableMapping[str, click.Command]):
    """As click's groups keep them."""

    def __init__(self) -> None:
        self._loaded: dict[str, click.Command] = {}
        self._known = dict(_COMMANDS)

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._loaded:
            module, _, there = self._known[name].partition(":")
            found = getattr(import_module(f"hypersdk.cli.hyperctl.{module}"), there or name)
            assert isinstance(found, click.Command)
            self._loaded[name] = found
        return self._loaded[name]

    def __setitem__(self, name: str, command: click.Command) -> None:
        self._loaded[name] = command
        self._known[name] = ""

    def __delitem__(self, name: str) -> None:
        del self._known[name]
        self._loaded.pop(name, None)

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)
