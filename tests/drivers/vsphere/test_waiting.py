"""Sockets wait as long as they may, and not longer than their caller wants."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from hypersdk.datapath.cancel import CancelToken
from hypersdk.drivers.vsphere.waiting import PatientSocket
from hypersdk.model.errors import EndpointTimeout, Interrupted


@pytest.fixture
def pair() -> Iterator[tuple[PatientSocket, socket.socket]]:
    ours, other = socket.socketpair()
    with other:
        patient = PatientSocket(ours, silence=0.5, name="disk scsi0-0 of 'web'")
        yield patient, other
        patient.close()


def test_bytes_that_come_late_are_waited_for(pair: tuple[PatientSocket, socket.socket]) -> None:
    patient, other = pair
    threading.Timer(0.2, other.sendall, (b"late",)).start()
    assert patient.makefile("rb").read(4) == b"late"


def test_silence_is_an_error_that_says_where(pair: tuple[PatientSocket, socket.socket]) -> None:
    patient, _ = pair
    with pytest.raises(EndpointTimeout, match="disk scsi0-0 of 'web'"):
        patient.makefile("rb").read(1)


def test_a_send_that_nobody_takes_is_an_error(pair: tuple[PatientSocket, socket.socket]) -> None:
    patient, _ = pair
    with pytest.raises(EndpointTimeout):
        patient.sendall(bytes(64 << 20))


def test_a_large_send_arrives(pair: tuple[PatientSocket, socket.socket]) -> None:
    patient, other = pair
    found = bytearray()

    def take() -> None:
        while len(found) < 4 << 20:
            found.extend(other.recv(1 << 16))

    taker = threading.Thread(target=take)
    taker.start()
    patient.sendall(memoryview(bytes(range(256)) * (4 << 12)))
    taker.join()
    assert found == bytes(range(256)) * (4 << 12)


def test_whoever_cancels_waits_no_longer(pair: tuple[PatientSocket, socket.socket]) -> None:
    patient, _ = pair
    patient.silence = 60.0
    token = CancelToken()
    threading.Timer(0.2, token.cancel).start()
    begun = time.monotonic()
    with token.scope(), pytest.raises(Interrupted):
        patient.makefile("rb").read(1)
    assert time.monotonic() - begun < 10


def test_an_answer_that_is_read_keeps_it_open(pair: tuple[PatientSocket, socket.socket]) -> None:
    patient, other = pair
    other.sendall(b"rest")
    file = patient.makefile("rb")
    patient.close()
    assert file.read(4) == b"rest"
    file.close()
    assert other.recv(1) == b""
