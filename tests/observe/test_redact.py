from __future__ import annotations

import time
from pathlib import Path

import pytest

from hypersdk.observe.redact import MASK, is_secret_name, redact, redact_text

SECRET = "hunter2-Zq9"
PEM = f"-----BEGIN PRIVATE KEY-----\nMC4CAQ{SECRET}\nxyz\n-----END PRIVATE KEY-----"

LEAKS = [
    f"password={SECRET}",
    f"password = {SECRET}",
    f"PASSWORD: {SECRET}",
    f"passphrase: two words {SECRET}",
    f"db_password={SECRET} user=bob",
    f"password=a,b;{SECRET}",
    f'{{"password": "{SECRET}"}}',
    f'{{"password": "quote \\" then {SECRET}"}}',
    f"{{'client_secret': 'x {SECRET}'}}",
    f'"token":"{SECRET}","size":3',
    f"api-key: {SECRET}",
    f"apiKey={SECRET}",
    f"AWS_SECRET_ACCESS_KEY={SECRET}",
    f"aws_session_token = {SECRET}",
    f"--password {SECRET} --repo x",
    f"--password={SECRET}",
    f"--passphrase 'two words {SECRET}'",
    f"--api-token '{SECRET}",
    f"s3://AKIAIOSFODNN7EXAMPLE:{SECRET}@bucket/prefix",
    f"vsphere://root:{SECRET}@vc.example/DC",
    f"postgresql+psycopg://app:p@ss/{SECRET}@db/name",
    f"https://example.org/x?X-Amz-Signature={SECRET}&a=1",
    f"https://example.org/x?sig={SECRET}",
    f"https://example.org/x?a=1&access_token={SECRET}#part",
    f"Authorization: Bearer {SECRET}",
    f"Authorization: Token {SECRET}",
    f"authorization: AWS4-HMAC-SHA256 Credential=AKIA/x, Signature={SECRET}",
    f"'Authorization': 'Basic {SECRET}'",
    f"Cookie: a=1; session={SECRET}",
    f"sent Bearer {SECRET} to the server",
    f"hypersdk-identity-{SECRET}",
    f"identity hypersdk-identity-{SECRET} is wrong",
    PEM,
    PEM.replace("PRIVATE", "RSA PRIVATE"),
    PEM.partition("\nxyz")[0],
    f"AGE-SECRET-KEY-1{SECRET.upper().replace('-', '')}hunter2-Zq9"[:-11],
    f"ghp_0123456789{SECRET}",
    f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.{SECRET}",
]

KEPT = [
    "pack 3f2a stored, 33554432 bytes",
    "s3://bucket/prefix/a b",
    "vsphere://administrator@vsphere.local@vc.example/DC",
    "nbd+unix:///disk?socket=/run/x.sock",
    "key=.hypersdk/packs/ab/cdef",
    "password_file=/etc/hypersdk/passphrase",
    "token_count=17",
    "hypersdk-recipient-abcdef",
    "wrong passphrase for the repository",
    "2026-11-21T02:00:00Z",
]


@pytest.mark.parametrize("text", LEAKS)
def test_takes_the_secret_out_of_text(text: str) -> None:
    clean = redact_text(text)
    assert "hunter2" not in clean.lower()
    assert MASK in clean
    assert redact_text(clean).count("hunter2") == 0


@pytest.mark.parametrize("text", KEPT)
def test_keeps_what_is_no_secret(text: str) -> None:
    assert redact_text(text) == text


def test_keeps_what_surrounds_the_secret() -> None:
    assert redact_text(f"connect s3://me:{SECRET}@host/x failed") == (
        f"connect s3://me:{MASK}@host/x failed"
    )
    assert redact_text(f"user=bob password={SECRET} size=3") == f"user=bob password={MASK} size=3"
    assert redact_text("key AKIAIOSFODNN7EXAMPLE denied") == f"key {MASK} denied"


def test_masks_by_name_in_mappings() -> None:
    assert redact(
        {
            "repository": f"s3://a:{SECRET}@b",
            "passphrase": SECRET,
            "nested": {"API_KEY": SECRET, "list": [{"token": [SECRET]}, f"password={SECRET}"]},
            "password": None,
            "secret": True,
            "password_file": "/etc/x",
            "size": 3,
            "ratio": 0.5,
        }
    ) == {
        "repository": f"s3://a:{MASK}@b",
        "passphrase": MASK,
        "nested": {"API_KEY": MASK, "list": [{"token": MASK}, f"password={MASK}"]},
        "password": None,
        "secret": True,
        "password_file": "/etc/x",
        "size": 3,
        "ratio": 0.5,
    }


def test_leaves_what_it_was_given_as_it_was() -> None:
    given = {"password": SECRET, "list": [1]}
    redact(given)
    assert given == {"password": SECRET, "list": [1]}


def test_turns_other_objects_into_clean_text() -> None:
    assert redact(b"raw key") == "<7 bytes>"
    assert redact(Path("/a/b")) == "/a/b"
    assert redact(ValueError(f"password={SECRET}")) == f"password={MASK}"
    assert redact((1, {2})) == [1, [2]]


def test_a_name_may_be_a_secret_too() -> None:
    assert redact({f"s3://a:{SECRET}@b": 1}) == {f"s3://a:{MASK}@b": 1}


def test_endless_nesting_ends() -> None:
    endless: list[object] = []
    endless.append(endless)
    assert MASK in str(redact(endless))


@pytest.mark.parametrize("name", ["password", "db.PASSWORD", "X-Api-Key", "set-cookie", "pwd"])
def test_secret_names(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["key", "compass", "secret_ref", "token-type", "public_key"])
def test_harmless_names(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "text",
    [
        "a" * 200_000,
        "password" * 20_000,
        "a.b-" * 50_000,
        "://:" * 40_000,
        '"\\' * 60_000,
        "-----BEGIN PRIVATE KEY-----" * 5_000,
        "passwd: " * 20_000,
        "x://" + "a:" * 60_000,
    ],
    ids=lambda text: text[:12],
)
def test_long_text_takes_no_long_time(text: str) -> None:
    begin = time.perf_counter()
    redact_text(text)
    assert time.perf_counter() - begin < 2
