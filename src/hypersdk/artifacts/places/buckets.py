"""From the URL of object storage, and the environment, to a place.

=====================  =============================================================
``s3://BUCKET/…``      ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_SESSION_TOKEN``,
                       ``AWS_REGION`` (us-east-1), ``AWS_ENDPOINT_URL_S3``, ``AWS_ENDPOINT_URL``
``azure://CONTAINER/…``  ``AZURE_STORAGE_ACCOUNT``, ``AZURE_STORAGE_KEY`` or
                       ``AZURE_STORAGE_SAS_TOKEN``, ``AZURE_STORAGE_ENDPOINT``
``gs://BUCKET/…``      ``GOOGLE_APPLICATION_CREDENTIALS``, ``GOOGLE_SERVICE_ACCOUNT``
=====================  =============================================================

Other variables that obstore knows hold too: ``AZURE_CLIENT_ID``, ``AWS_WEB_IDENTITY_TOKEN_FILE`` ….
A server is spoken to without TLS only when its URL says ``http://``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from obstore.store import AzureStore, GCSStore, S3Store

from hypersdk.artifacts.places.objects import CLIENT, RETRY, ObjectPlace
from hypersdk.model.errors import InvalidInput, StoreDenied, StoreError

if TYPE_CHECKING:
    from obstore.store import AzureConfig, ClientConfig, GCSConfig, S3Config

#: Any of these is a way to be let in.
_AZURE_CREDENTIALS = (
    "AZURE_STORAGE_KEY", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_ACCESS_KEY",
    "AZURE_STORAGE_MASTER_KEY", "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_SAS_KEY",
    "AZURE_STORAGE_TOKEN", "AZURE_CLIENT_ID", "AZURE_STORAGE_CLIENT_ID", "AZURE_CREDENTIAL_TYPE",
    "AZURE_FEDERATED_TOKEN_FILE", "AZURE_MSI_ENDPOINT",
)  # fmt: skip
_GOOGLE_CREDENTIALS = (
    "GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_PATH",
    "GOOGLE_SERVICE_ACCOUNT_KEY", "GOOGLE_BEARER_TOKEN",
)  # fmt: skip
_GCLOUD = "~/.config/gcloud/application_default_credentials.json"


def s3_place(bucket: str, prefix: str) -> ObjectPlace:
    """``s3://BUCKET/PREFIX``. Every request is signed together with its content."""
    endpoint = _first("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")
    config: S3Config = {
        "region": _first("AWS_REGION", "AWS_DEFAULT_REGION") or "us-east-1",
        "disable_bulk_delete": True,  # not every compatible server knows it
    }
    if endpoint:
        config["endpoint"] = endpoint
    backend = S3Store(
        bucket,
        prefix=prefix or None,
        config=config,
        client_options=_client(endpoint),
        retry_config=RETRY,
    )
    return ObjectPlace(_url("s3", bucket, prefix), backend, signed=True)


def azure_place(container: str, prefix: str) -> ObjectPlace:
    """``azure://CONTAINER/PREFIX``. Raises StoreDenied when nothing says who we are."""
    account = _first("AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ACCOUNT_NAME")
    if not account or not _first(*_AZURE_CREDENTIALS):
        missing = "storage account is named" if not account else "credentials are given"
        raise StoreDenied(
            f"azure://{container}: no {missing}",
            hint="Set AZURE_STORAGE_ACCOUNT, and AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN.",
        )
    endpoint = os.environ.get("AZURE_STORAGE_ENDPOINT", "")
    config: AzureConfig = {"account_name": account}
    if key := os.environ.get("AZURE_STORAGE_KEY"):
        config["account_key"] = key
    if endpoint:
        config["endpoint"] = endpoint
    try:
        backend = AzureStore(
            container,
            prefix=prefix or None,
            config=config,
            client_options=_client(endpoint),
            retry_config=RETRY,
        )
    except Exception as error:  # obstore's own classes, and ValueError for a key that is none
        raise _unusable("azure", container) from error
    return ObjectPlace(_url("azure", container, prefix), backend)


def google_place(bucket: str, prefix: str) -> ObjectPlace:
    """``gs://BUCKET/PREFIX``. Raises StoreDenied when nothing says who we are."""
    if not _first(*_GOOGLE_CREDENTIALS) and not os.path.exists(os.path.expanduser(_GCLOUD)):
        raise StoreDenied(
            f"gs://{bucket}: no credentials are given",
            hint="Set GOOGLE_APPLICATION_CREDENTIALS to the key file of a service account, or run: "
            "gcloud auth application-default login",
        )
    endpoint = os.environ.get("GOOGLE_BASE_URL", "")
    config: GCSConfig = {}
    try:
        backend = GCSStore(
            bucket,
            prefix=prefix or None,
            config=config,
            client_options=_client(endpoint),
            retry_config=RETRY,
        )
    except Exception as error:  # obstore's own classes, for a key file that is none
        raise _unusable("gs", bucket) from error
    return ObjectPlace(_url("gs", bucket, prefix), backend)


def _client(endpoint: str) -> ClientConfig:
    return {**CLIENT, "allow_http": endpoint.startswith("http://")}


def _unusable(scheme: str, bucket: str) -> StoreError:
    """Without the library's words, which may repeat a key."""
    return StoreDenied(
        f"{scheme}://{bucket}: the credentials in the environment cannot be used",
        hint="Check that the key is complete, or that the key file is one and can be read.",
    )


def _url(scheme: str, bucket: str, prefix: str) -> str:
    if not bucket:
        raise InvalidInput(f"{scheme}:// names no bucket", hint=f"Write {scheme}://bucket/prefix.")
    return f"{scheme}://{bucket}/{prefix}" if prefix else f"{scheme}://{bucket}"


def _first(*names: str) -> str:
    return next((value for name in names if (value := os.environ.get(name))), "")
