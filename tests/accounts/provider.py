"""An OpenID provider: a real HTTP server with real keys."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

SigningKey = RSAKey | ECKey | OctKey


class Provider:
    """Publishes `keys`, and signs tokens."""

    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}/realms/lab"
        self.key = RSAKey.generate_key(2048, {"kid": "first", "use": "sig"})
        self.keys: list[Any] = [self.key.as_dict(private=False)]
        #: Paths that were asked for.
        self.asked: list[str] = []
        self.broken = False
        self.redirects = False
        self.claims_issuer = self.issuer

    def token(
        self,
        *,
        key: SigningKey | None = None,
        header: dict[str, Any] | None = None,
        without: tuple[str, ...] = (),
        **claims: Any,
    ) -> str:
        """One for user ``eve``, an operator, unless something else is given."""
        now = int(time.time())
        content = {
            "iss": self.issuer,
            "aud": "hypersdk",
            "sub": "eve",
            "exp": now + 300,
            "iat": now,
            "roles": ["ops"],
            **claims,
        }
        for name in without:
            del content[name]
        head = {"alg": "RS256", "kid": "first", **(header or {})}
        algorithms = [head["alg"]]
        return jwt.encode(head, content, key or self.key, algorithms=algorithms)

    def answer(self, path: str) -> tuple[int, Any]:
        self.asked.append(path)
        if self.broken:
            return 500, {}
        if path.endswith("/.well-known/openid-configuration"):
            return 200, {"issuer": self.claims_issuer, "jwks_uri": f"{self.issuer}/keys"}
        if path.endswith("/keys"):
            return (302, f"{self.issuer}/elsewhere") if self.redirects else (200, self._published())
        return 200, self._published()

    def _published(self) -> dict[str, Any]:
        return {"keys": self.keys}


@contextmanager
def provider() -> Iterator[Provider]:
    """One that serves while the ``with`` block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, content = one.answer(self.path)
            self.send_response(status)
            if status == 302:
                self.send_header("Location", content)
            self.end_headers()
            self.wfile.write(json.dumps(content).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    one = Provider(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield one
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
