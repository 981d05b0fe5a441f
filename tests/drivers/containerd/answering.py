"""A gRPC server of our own that knows of containerd's API only how its version is asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty

from hypersdk.drivers.containerd.api.services.version.v1.version_pb2 import VersionResponse

_SERVICE = "containerd.services.version.v1.Version"


@contextmanager
def answering(
    path: Path, version: Callable[[Any, grpc.ServicerContext], Any] | None
) -> Iterator[None]:
    """On the socket ``path``; None: it does not know that either."""
    with ThreadPoolExecutor(2) as pool:
        server = grpc.server(pool)
        if version is not None:
            method = grpc.unary_unary_rpc_method_handler(
                version,
                request_deserializer=Empty.FromString,
                response_serializer=VersionResponse.SerializeToString,
            )
            handler = grpc.method_handlers_generic_handler(_SERVICE, {"Version": method})
            server.add_generic_rpc_handlers((handler,))
        server.add_insecure_port(f"unix://{path}")
        server.start()
        yield
        server.stop(None).wait()
