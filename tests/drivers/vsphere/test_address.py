from __future__ import annotations

import pytest

from hypersdk.drivers.registry import refuse_secrets
from hypersdk.drivers.vsphere.address import address, fingerprint
from hypersdk.model.errors import InvalidInput

PRINT = "ab" * 32
GOVC = {"GOVC_URL": "https://admin:s3cret@vc.example:8443/sdk", "GOVC_DATACENTER": "/europe/DC0"}


def test_all_that_a_url_says() -> None:
    found = address(
        f"vsphere://me%40vsphere.local@vc.example:8443/europe/DC0?fingerprint={PRINT}"
        "&password-from=env:PW&reader=nbd&nbd-provider=/etc/provider.toml",
        {},
    )
    assert (found.host, found.port, found.user) == ("vc.example", 8443, "me@vsphere.local")
    assert (found.datacenter, found.reader) == ("europe/DC0", "nbd")
    assert found.nbd_provider == "/etc/provider.toml"
    assert found.password_from == "env:PW"
    assert found.fingerprint == ":".join(["AB"] * 32)
    assert found.endpoint == "https://vc.example:8443"


def test_a_user_with_a_domain_need_not_be_escaped() -> None:
    assert address("vsphere://me@vsphere.local@vc.example", {}).user == "me@vsphere.local"


@pytest.mark.parametrize(
    "url", ["vsphere://me@vc.example", "vsphere://me@vc.example:443/", "vsphere://me@VC.example/"]
)
def test_the_same_place_has_one_url(url: str) -> None:
    assert address(url, {}).url == "vsphere://me@vc.example/"


def test_an_address_of_numbers() -> None:
    found = address("vsphere://root@[fd00::1]:8443/", {})
    assert (found.host, found.endpoint) == ("fd00::1", "https://[fd00::1]:8443")


def test_a_url_reads_back_as_itself() -> None:
    first = address(f"vsphere://me@vc/DC%200?fingerprint={PRINT}&password-from=file:/x", {})
    assert address(first.url, {}) == first
    refuse_secrets(first.url)


def test_govc_completes_an_empty_url() -> None:
    found = address("vsphere://", GOVC)
    assert (found.host, found.port, found.user) == ("vc.example", 8443, "admin")
    assert found.datacenter == "europe/DC0"
    assert found.password() == "s3cret"
    assert "s3cret" not in found.url + repr(found)


def test_govc_names_a_host_alone() -> None:
    found = address("vsphere://", {"GOVC_URL": "vc.example", "GOVC_USERNAME": "root"})
    assert (found.host, found.user, found.port) == ("vc.example", "root", 443)


def test_the_url_counts_more_than_govc() -> None:
    found = address("vsphere://me@other.example/DC9", GOVC)
    assert (found.host, found.port, found.user) == ("other.example", 443, "me")
    assert found.datacenter == "DC9"


def test_a_password_in_govc_url_is_for_its_host_alone() -> None:
    with pytest.raises(InvalidInput, match="no password"):
        address("vsphere://me@other.example", GOVC).password()


def test_passwords_by_reference_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PW", "from-the-reference")
    found = address("vsphere://me@vc?password-from=env:PW", {"GOVC_PASSWORD": "other"})
    assert found.password() == "from-the-reference"
    assert address("vsphere://me@vc", {"GOVC_PASSWORD": "other"}).password() == "other"


@pytest.mark.parametrize(
    ("value", "first_use"), [("1", True), ("true", True), ("0", False), ("", False)]
)
def test_insecure_means_trust_on_first_use(value: str, first_use: bool) -> None:
    assert address("vsphere://me@vc", {"GOVC_INSECURE": value}).first_use is first_use


@pytest.mark.parametrize(
    "url",
    [
        "vsphere://",
        "vsphere://vc.example",
        "esx://me@vc.example",
        "vsphere://me@vc:port",
        "vsphere://me:s3cret@vc",
        "vsphere://me@vc?fingerprint=1234",
        "vsphere://me@vc?reader=fast",
        "vsphere://me@vc?password-from=s3cret",
        "vsphere://me@vc?fingerprnt=x",
    ],
)
def test_what_is_wrong_is_said_without_secrets(url: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        address(url, {})
    assert raised.value.hint
    assert "s3cret" not in str(raised.value)


def test_a_misspelt_field_names_the_right_one() -> None:
    with pytest.raises(InvalidInput, match=r"Did you mean fingerprint\?"):
        address("vsphere://me@vc?fingerprnt=x", {})


def test_govc_without_tls_is_refused() -> None:
    with pytest.raises(InvalidInput, match="http://"):
        address("vsphere://", {"GOVC_URL": "http://me@vc"})


@pytest.mark.parametrize("text", [PRINT, PRINT.upper(), f"SHA256:{PRINT}", ":".join(["ab"] * 32)])
def test_fingerprints_are_read_in_any_form(text: str) -> None:
    assert fingerprint(text) == ":".join(["AB"] * 32)
