"""Tell people how a run goes: mail, Slack, Discord, Teams and the other services of apprise.

A service's URL usually holds a secret; nothing here prints or logs one.
"""

from __future__ import annotations

import logging

from hypersdk.model.errors import HyperSDKError, MissingRequirement


class NotificationFailed(HyperSDKError):
    """The service did not take the message."""


def notify(url: str, title: str, body: str, *, failed: bool | None) -> None:
    """Send one message, with the service's mark for a failure or a success; None: for neither, as
    when something begins.

    ``url``: as https://github.com/caronc/apprise/wiki describes. Raises NotificationFailed, and
    MissingRequirement without the library apprise.
    """
    try:
        import apprise  # noqa: PLC0415 - an extra, and slow to load
    except ModuleNotFoundError as error:
        raise MissingRequirement(
            "notifications need the library apprise",
            hint="Install it with: pip install 'hypersdk[notify]'",
        ) from error
    # Its own log repeats addresses and answers of servers; our caller says what matters.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    services = apprise.Apprise()
    if not services.add(url):
        raise NotificationFailed(
            f"the notification URL {_scheme(url)} is not understood",
            hint="See https://github.com/caronc/apprise/wiki for how each service is written.",
        )
    kinds = {
        None: apprise.NotifyType.INFO,
        False: apprise.NotifyType.SUCCESS,
        True: apprise.NotifyType.FAILURE,
    }
    if not services.notify(body=body, title=title, notify_type=kinds[failed]):
        raise NotificationFailed(
            f"the notification through {_scheme(url)} was not taken",
            hint="Check its address and credentials, and that the service can be reached.",
        )


def _scheme(url: str) -> str:
    scheme, mark, _ = url.partition("://")
    return f"{scheme}://…" if mark and scheme.isascii() and scheme.isalnum() else "given"
