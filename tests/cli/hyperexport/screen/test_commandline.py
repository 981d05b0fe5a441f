from __future__ import annotations

import shlex
from dataclasses import replace

from hypersdk.cli.hyperexport.screen.commandline import command
from hypersdk.cli.hyperexport.screen.port import Choices
from tests.cli.hyperexport.screen.stage import row

WEB, DB = row("web 1", 0), row("db", 1)
FOLDERS = {WEB.key: "out/web 1", DB.key: "out/db"}
HEAD = ["hyperexport", "-H", "vsphere://lab@vc/DC0"]


def words(*rows: object, choices: Choices, more: tuple[str, ...] = ()) -> list[str]:
    return shlex.split(command(rows, choices, FOLDERS, *more))  # type: ignore[arg-type]


def test_one_instance_names_its_own_folder() -> None:
    line = command([WEB], Choices(output="out"), FOLDERS, "--resume")
    assert "--vm 'web 1' --output 'out/web 1' --resume" in line


def test_several_share_one_folder() -> None:
    assert words(WEB, DB, choices=Choices(output="out")) == [
        *HEAD, "--vm", "web 1", "--vm", "db", "--output", "out"
    ]  # fmt: skip


def test_only_what_differs_from_the_defaults_is_named() -> None:
    choices = Choices(
        output="out", format="ova", parallel=8, compress=True, power_off=True, overwrite=True,
        upload="s3://b/p", keep_local=False, force=True,
    )  # fmt: skip
    assert words(WEB, DB, choices=choices)[7:] == [
        "--output", "out", "--format", "ova", "--parallel", "8", "--upload", "s3://b/p",
        "--compress", "--power-off", "--no-keep-local", "--overwrite", "--force",
    ]  # fmt: skip


def test_who_shall_decrypt_is_named() -> None:
    choices = Choices(output="out", recipients=("age1abc", "ssh-ed25519 AAAA me"))
    assert words(WEB, DB, choices=choices)[9:] == [
        "--encrypt", "--recipient", "age1abc", "--recipient", "ssh-ed25519 AAAA me"
    ]  # fmt: skip


def test_what_a_profile_sets_is_not_repeated_and_what_differs_from_it_is() -> None:
    choices = Choices(output="out").with_profile("archive", {"compress": True, "encrypt": True})
    assert words(WEB, DB, choices=choices)[7:9] == ["--profile", "archive"]
    line = words(WEB, DB, choices=replace(choices, compress=False, verify=True))
    assert "--verify" in line
    assert "--no-compress" in line
