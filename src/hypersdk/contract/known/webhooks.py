"""Webhooks as the known routes name them."""

from __future__ import annotations

from pydantic import Field

from hypersdk.contract.base import Answer, Asked, Moment


class KnownWebhook(Asked):
    """Whom to tell."""

    url: str = Field(min_length=1)
    #: Empty or ``*``: all.
    events: list[str] = []
    #: Values are plain words, or references (``env:NAME``) where they are secrets.
    headers: dict[str, str] = {}
    #: ``10s``, or a number of seconds.
    timeout: str | float = "10s"
    #: Accepted and not looked at: every delivery is tried again for a day.
    retry: int = Field(default=3, ge=0, le=100)
    enabled: bool = True


class ShownWebhook(Answer):
    """Values of its headers are shown as references, and hidden where they are none."""

    url: str
    events: list[str]
    headers: dict[str, str]
    timeout: str
    retry: int
    enabled: bool


class WebhooksAnswer(Answer):
    """By their index, which ``DELETE /webhooks/{index}`` takes."""

    webhooks: list[ShownWebhook]
    total: int
    timestamp: Moment


class WebhookMade(Answer):
    message: str
    webhook: ShownWebhook
    #: What signs its deliveries; shown once.
    secret: str


class WebhookTest(Asked):
    #: Of a webhook that was added.
    url: str = Field(min_length=1)
    event: str = "test"
