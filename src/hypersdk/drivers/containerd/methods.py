"""The methods of containerd's API as calls of a channel, made of the API's own description.

The description says of each method what it takes, what it answers, and which of them are streams,
so no code is generated for services, only for messages.
"""

from __future__ import annotations

from typing import Any

import grpc
from google.protobuf.message_factory import GetMessageClass

from hypersdk.drivers.containerd.api.services.containers.v1 import containers_pb2
from hypersdk.drivers.containerd.api.services.content.v1 import content_pb2
from hypersdk.drivers.containerd.api.services.diff.v1 import diff_pb2
from hypersdk.drivers.containerd.api.services.events.v1 import events_pb2
from hypersdk.drivers.containerd.api.services.images.v1 import images_pb2
from hypersdk.drivers.containerd.api.services.introspection.v1 import introspection_pb2
from hypersdk.drivers.containerd.api.services.leases.v1 import leases_pb2
from hypersdk.drivers.containerd.api.services.snapshots.v1 import snapshots_pb2
from hypersdk.drivers.containerd.api.services.tasks.v1 import tasks_pb2
from hypersdk.drivers.containerd.api.services.version.v1 import version_pb2

#: Service as we call it → its description. Generated, so untyped.
_SERVICES: dict[str, Any] = {
    "containers": containers_pb2.DESCRIPTOR.services_by_name["Containers"],
    "content": content_pb2.DESCRIPTOR.services_by_name["Content"],
    "diff": diff_pb2.DESCRIPTOR.services_by_name["Diff"],
    "events": events_pb2.DESCRIPTOR.services_by_name["Events"],
    "images": images_pb2.DESCRIPTOR.services_by_name["Images"],
    "introspection": introspection_pb2.DESCRIPTOR.services_by_name["Introspection"],
    "leases": leases_pb2.DESCRIPTOR.services_by_name["Leases"],
    "snapshots": snapshots_pb2.DESCRIPTOR.services_by_name["Snapshots"],
    "tasks": tasks_pb2.DESCRIPTOR.services_by_name["Tasks"],
    "version": version_pb2.DESCRIPTOR.services_by_name["Version"],
}


def method_of(channel: grpc.Channel, name: str) -> Any:
    """What calls ``tasks.List`` over ``channel``: a gRPC multi-callable. Raises KeyError."""
    service, _, function = name.partition(".")
    method = _SERVICES[service].methods_by_name[function]
    makers = {
        (False, False): channel.unary_unary,
        (False, True): channel.unary_stream,
        (True, False): channel.stream_unary,
        (True, True): channel.stream_stream,
    }
    return makers[method.client_streaming, method.server_streaming](
        f"/{method.containing_service.full_name}/{method.name}",
        request_serializer=GetMessageClass(method.input_type).SerializeToString,
        response_deserializer=GetMessageClass(method.output_type).FromString,
    )
