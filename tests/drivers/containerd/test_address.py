from __future__ import annotations

import pytest

from hypersdk.drivers.containerd.address import Address, is_identifier
from hypersdk.model.errors import InvalidInput


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("containerd://", Address()),
        ("containerd:///run/x.sock", Address("/run/x.sock")),
        ("containerd:///run/x.sock?namespace=k8s.io", Address("/run/x.sock", "k8s.io")),
        (
            "containerd:///a%20b.sock?folder=/srv/lab/&snapshotter=native",
            Address("/a b.sock", folder="/srv/lab", snapshotter="native"),
        ),
    ],
)
def test_urls_name_a_socket_and_a_namespace(url: str, address: Address) -> None:
    assert Address.parsed(url) == address
    assert Address.parsed(str(address)) == address


@pytest.mark.parametrize(
    ("url", "saying"),
    [
        ("containerd://host:10010", "reached on its own machine only"),
        ("containerd:///run/x.sock#part", "does not name a socket"),
        ("containerd:///run/x.sock?namespaces=lab", "Did you mean namespace?"),
        ("containerd:///run/x.sock?colour=red", "It has namespace, snapshotter, folder"),
        ("containerd:///run/x.sock?namespace=a/b", "'a/b' is no name of a namespace"),
        ("containerd:///run/x.sock?namespace=", "'' is no name of a namespace"),
        ("containerd:///run/x.sock?folder=lab", "'lab' is no absolute path"),
    ],
)
def test_other_urls_are_refused(url: str, saying: str) -> None:
    with pytest.raises(InvalidInput, match=saying.replace("?", r"\?")):
        Address.parsed(url)


@pytest.mark.parametrize("name", ["a", "web-1", "k8s.io", "A_b", "x" * 76])
def test_identifiers(name: str) -> None:
    assert is_identifier(name)


@pytest.mark.parametrize("name", ["", "-a", "a-", "a--b", "a b", "ü", "a\n", "x" * 77])
def test_no_identifiers(name: str) -> None:
    assert not is_identifier(name)
