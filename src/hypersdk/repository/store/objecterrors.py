"""Errors of object storage as errors of a store.

obstore has few error classes; most of what a server says arrives as text. What we look for in it
is written by obstore's HTTP layer (``status code: NNN``), by the server's XML (``<Code>``), or
names the kind of a network error; ``tests/repository/store/test_objecterrors.py`` provokes each.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from hypersdk.model.errors import (
    ObjectExists,
    ObjectMissing,
    StoreDenied,
    StoreError,
    StoreFull,
    StoreUnavailable,
)

_STATUS = re.compile(r"status code: (\d{3})")
_CODE = re.compile(r"<Code>([^<]{1,80})</Code>")
_MESSAGE = re.compile(r"<Message>([^<]{1,300})</Message>")
#: Names of errors between us and the server, as obstore prints them.
_NETWORK = re.compile(
    r"ConnectionRefused|ConnectionReset|TimedOut|Timeout|dns error|IncompleteBody|IncompleteMessage"
    r"|UnexpectedEof|BrokenPipe|HTTP error|error sending request|connection closed"
)
#: Server codes that mean "later", whatever their HTTP status (RequestTimeout comes with 400).
_LATER = {"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "Throttling"}
_FULL = {"QuotaExceeded", "InsufficientStorage", "XMinioStorageFull", "EntityTooLarge"}
_CREDENTIALS = {
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "SignatureDoesNotMatch",
    "RequestTimeTooSkewed",
    "AuthorizationHeaderMalformed",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What can be read out of the text of one failure."""

    #: HTTP status; 0 when the server did not answer.
    status: int
    #: The server's own code, such as ``SlowDown``; may be empty (a HEAD has no body).
    code: str
    #: One line for a person. Never the whole body: some bodies repeat the signed request.
    reason: str

    @classmethod
    def of(cls, text: str) -> Answer:
        head = text.partition("Debug source:")[0].strip()
        status = _STATUS.search(head)
        code = _CODE.search(head)
        message = _MESSAGE.search(head)
        if status is None:
            kind = _NETWORK.search(text.partition("Debug source:")[2]) or _NETWORK.search(head)
            reason = kind.group() if kind else head.splitlines()[0] if head else "no reason given"
            return cls(0, "", reason)
        parts = [f"HTTP {status.group(1)}"]
        parts += [found.group(1) for found in (code, message) if found]
        return cls(int(status.group(1)), code.group(1) if code else "", ", ".join(parts))


def store_error(error: Exception, url: str, key: str, *, writing: bool = False) -> StoreError:
    """Which of our errors a failure of obstore on ``key`` of ``url`` is."""
    kind = type(error).__name__
    answer = Answer.of(str(error))
    what = f"{url}/{key}" if key else url
    if answer.code == "NoSuchBucket":
        return StoreError(
            f"{what}: there is no such bucket",
            hint="Make the bucket first; it is the part after s3:// in the location.",
        )
    if kind == "AlreadyExistsError":
        # 412 says "the key is taken". 409 says "another request on this key is under way" and
        # asks for another try (AWS: ConditionalRequestConflict); the key may yet be free.
        if writing and answer.status == 409:
            return _unavailable(what, answer)
        return ObjectExists(f"{key} is already in {url}")
    if isinstance(error, FileNotFoundError) and not writing:
        return ObjectMissing(f"{key} is not in {url}")
    return _refused(kind, what, answer, str(error))


def _refused(kind: str, what: str, answer: Answer, text: str) -> StoreError:
    """The failures that do not depend on what was asked."""
    if answer.code in _FULL or answer.status == 507:
        return StoreFull(
            f"no space left for {what}: {answer.reason}",
            hint="Free space or raise the quota, then run the same command: "
            "what is stored is kept and reused.",
        )
    if denied := _denied(kind, what, answer, text):
        return denied
    if answer.code in _LATER or answer.status in {408, 429} or answer.status >= 500:
        return _unavailable(what, answer)
    if answer.status == 0 and _NETWORK.search(text):
        return _unavailable(what, answer)
    if "incorrectly configured region" in text:
        return StoreError(
            f"{what}: the bucket is in another region",
            hint="Set AWS_REGION to the bucket's region, or AWS_ENDPOINT_URL to its server.",
        )
    return StoreError(f"{what}: {answer.reason}")


def _unavailable(what: str, answer: Answer) -> StoreUnavailable:
    return StoreUnavailable(
        f"{what}: the storage does not answer as it should: {answer.reason}",
        hint="Check the network and AWS_ENDPOINT_URL, then run the same command again.",
    )


def _denied(kind: str, what: str, answer: Answer, text: str) -> StoreDenied | None:
    if "169.254.169.254" in text:  # obstore's last resort when it was given no credentials
        return StoreDenied(
            f"{what}: no credentials",
            hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment.",
        )
    classes = {"PermissionDeniedError", "UnauthenticatedError"}
    if answer.code in _CREDENTIALS or answer.status in {401, 403} or kind in classes:
        return StoreDenied(
            f"{what}: access denied: {answer.reason}",
            hint="Check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what they may do here: "
            "list, get, put and delete are needed.",
        )
    return None
