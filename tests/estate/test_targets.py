from __future__ import annotations

import pytest

from hypersdk.estate.targets import TargetRefused, addresses, parse
from hypersdk.model.errors import InvalidInput


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1", "127.1.2.3", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254",
        "100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255", "[::1]", "[::]", "[fe80::1]",
        "[fc00::1]", "[::ffff:10.0.0.1]", "[64:ff9b::a00:1]", "[2002:a00:1::]", "localhost",
        "LOCALHOST.", "db.localhost", "[ff02::1]",
    ],
)  # fmt: skip
def test_private_addresses_are_refused_however_they_are_written(host: str) -> None:
    with pytest.raises(TargetRefused, match="address"):
        parse(f"http://{host}/x", allow_private=False)
    assert parse(f"http://{host}/x", allow_private=True).path == "/x"


def test_public_ones_are_not() -> None:
    target = parse("https://93.184.216.34:8443/a?b=c", allow_private=False)
    assert (target.host, target.port, target.path) == ("93.184.216.34", 8443, "/a?b=c")
    assert parse("http://[2606:4700::1111]", allow_private=False).port == 80
    assert parse("https://example.org", allow_private=False).path == "/"


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "0177.0.0.1"])
def test_numbers_that_the_resolver_takes_for_loopback_are_found_when_looked_up(host: str) -> None:
    target = parse(f"http://{host}:80/", allow_private=False)
    with pytest.raises(TargetRefused, match="loopback"):
        addresses(target, allow_private=False)


@pytest.mark.parametrize(
    "url", ["ftp://h/", "https://", "h/x", "https://u@h/", "https://u:p@h/", "http://h:x/", "h\n"]
)
def test_what_is_no_url_of_a_webhook_is_refused(url: str) -> None:
    with pytest.raises(InvalidInput):
        parse(url, allow_private=True)
