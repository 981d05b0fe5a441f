"""Errors of object storage as errors of a place.

obstore has few error classes; what a server says arrives as text, of which only the status, the
server's own code and its message are taken: some bodies repeat the signed request.
"""

from __future__ import annotations

import re

from hypersdk.model.errors import (
    AlreadyExists,
    HyperSDKError,
    NotFound,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreUnavailable,
)

_STATUS = re.compile(r"status code: (\d{3})|\b([45]\d{2}) (?:[A-Z][a-z]+)")
_CODE = re.compile(r"<Code>([^<]{1,80})</Code>")
_MESSAGE = re.compile(r"<Message>([^<]{1,300})</Message>")
#: Names of errors between us and the server, as obstore prints them.
_NETWORK = re.compile(
    r"ConnectionRefused|ConnectionReset|TimedOut|Timeout|dns error|IncompleteBody|IncompleteMessage"
    r"|UnexpectedEof|BrokenPipe|HTTP error|error sending request|connection closed|Connect"
)
#: Codes that mean "later", whatever their HTTP status.
_LATER = {"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "Throttling",
          "ServerBusy", "OperationTimedOut"}  # fmt: skip
_FULL = {"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "EntityTooLarge"}
_CREDENTIALS = {"ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch",
                "RequestTimeTooSkewed", "AuthorizationHeaderMalformed", "AuthenticationFailed",
                "AuthorizationFailure"}  # fmt: skip
_NO_CONTAINER = {"NoSuchBucket", "ContainerNotFound"}
#: Where cloud machines get their role's credentials; asked when there are no others.
_METADATA = re.compile(r"169\.254\.169\.254|metadata\.google\.internal")
_HINT = (
    "Check the credentials in the environment (AWS_…, AZURE_STORAGE_…, "
    "GOOGLE_APPLICATION_CREDENTIALS) and what they may do there."
)


def store_error(error: Exception, url: str, name: str, *, writing: bool = False) -> HyperSDKError:
    """Which of our errors a failure of obstore on ``name`` is."""
    what = f"{url}/{name}" if name else url
    text = str(error)
    head = text.partition("Debug source:")[0]
    code = found[1] if (found := _CODE.search(text)) else ""
    status = _status(head) or _status(text)
    kind = type(error).__name__
    if code in _NO_CONTAINER:
        return StoreError(
            f"{what}: there is no such bucket or container", hint="Make it first; it is not made."
        )
    if kind == "AlreadyExistsError" and status != 409:
        return _exists(what)
    if kind == "AlreadyExistsError":
        # Azure answers a create that found something with 409; S3 a race, which is worth a retry.
        return _exists(what) if "BlobAlreadyExists" in text else _later(what, "HTTP 409")
    if isinstance(error, FileNotFoundError) and not writing:
        return NotFound(f"{what} is not there")
    return _refused(what, kind, status, code, text)


def _refused(what: str, kind: str, status: int, code: str, text: str) -> HyperSDKError:
    message = found[1] if (found := _MESSAGE.search(text)) else ""
    answer = ", ".join(part for part in (f"HTTP {status}" if status else "", code, message) if part)
    if code in _FULL or status == 507:
        return StoreFull(f"no space left for {what}: {answer}", hint="Free space there.")
    if _METADATA.search(text):
        return StoreDenied(f"{what}: there are no credentials", hint=_HINT)
    denied = {"PermissionDeniedError", "UnauthenticatedError"}
    if status in {401, 403} or code in _CREDENTIALS or kind in denied:
        return StoreDenied(f"{what}: access was denied: {answer or kind}", hint=_HINT)
    network = _NETWORK.search(text)
    if code in _LATER or status in {408, 429} or status >= 500 or (not status and network):
        return _later(what, answer or (network.group() if network else ""))
    return StoreError(f"{what}: {answer or _first_line(text)}")


def _exists(what: str) -> AlreadyExists:
    return AlreadyExists(
        f"{what} already exists",
        hint="Choose another name, or say that it may be overwritten.",
    )


def _later(what: str, answer: str) -> StoreUnavailable:
    return StoreUnavailable(
        f"{what}: the storage does not answer as it should: {answer}",
        hint="Check the network and the endpoint, then run the same command again.",
    )


def _status(text: str) -> int:
    found = _STATUS.search(text)
    return int(found[1] or found[2]) if found else 0


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0][:300] if text.strip() else "no reason given"
