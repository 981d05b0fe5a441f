"""Whom the daemon lets in: nobody who is not known, unless only this machine can ask."""

from __future__ import annotations

import os
import ssl

from hypersdk.accounts.users import UserStore
from hypersdk.config.daemon import DaemonSettings
from hypersdk.config.daemon.sections import TlsSettings
from hypersdk.model.errors import InvalidInput


def refuse_open(settings: DaemonSettings, users: UserStore) -> None:
    """Raises InvalidInput unless an address that others can reach has TLS and accounts."""
    if settings.loopback:
        return
    if settings.tls is None:
        raise InvalidInput(
            f"listen: {settings.listen} can be reached by others, and has no TLS",
            hint="Name a certificate with tls: {certificate: …, key: …}; one to begin with: "
            "openssl req -x509 -newkey rsa:3072 -nodes -days 365 -keyout hypervisord.key "
            "-out hypervisord.crt -subj /CN=$(hostname -f) "
            "-addext subjectAltName=DNS:$(hostname -f)",
        )
    if settings.auth.oidc is None and not users.any():
        raise InvalidInput(
            f"listen: {settings.listen} can be reached by others, and there are no accounts",
            hint="Make one first: hypervisord users add NAME --role admin; "
            "or stay on this machine: hypervisord --listen localhost:8080",
        )


def tls_context(settings: TlsSettings) -> ssl.SSLContext:
    """TLS 1.2 or later. Raises InvalidInput for files that are no certificate and key."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    load_certificate(context, settings)
    return context


def load_certificate(context: ssl.SSLContext, settings: TlsSettings) -> None:
    """Also into a context in use: connections to come see the renewed one."""
    for name, path in (("certificate", settings.certificate), ("key", settings.key)):
        if not os.access(path, os.R_OK):
            said = "cannot be read" if path.exists() else "is not there"
            raise InvalidInput(
                f"tls.{name}: {path} {said}", hint="Name a file in PEM that this user may read."
            )
    try:
        # An empty password: without one the library would ask on the terminal.
        context.load_cert_chain(settings.certificate, settings.key, password="")
    except (ssl.SSLError, OSError) as error:
        raise InvalidInput(
            f"tls: {settings.certificate} and {settings.key} are no pair of certificate and key: "
            f"{getattr(error, 'reason', None) or error}",
            hint="Both are in PEM, and the key has no passphrase.",
        ) from error
