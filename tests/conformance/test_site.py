"""The file of a site: strict, since what is misspelt would make a run prove less."""

from __future__ import annotations

from pathlib import Path

import pytest

from hypersdk.conformance.site import load_site
from hypersdk.conformance.target import Site
from hypersdk.model.errors import InvalidInput


def write(folder: Path, text: str) -> Path:
    path = folder / "site.yaml"
    path.write_text(text)
    return path


def test_all_members(tmp_path: Path) -> None:
    text = (
        "image: lab:1\nkernel: /srv/vmlinuz\ninitrd: /srv/initrd\n"
        "kernel_arguments: console=ttyS0\nfolder: /srv/lab\nacceleration: tcg\n"
        "extra:\n  ports: 20000-20100\n"
    )
    assert load_site(write(tmp_path, text)) == Site(
        image="lab:1",
        kernel="/srv/vmlinuz",
        initrd="/srv/initrd",
        kernel_arguments="console=ttyS0",
        folder="/srv/lab",
        acceleration="tcg",
        extra={"ports": "20000-20100"},
    )


@pytest.mark.parametrize("text", ["", "# nothing\n", "extra:\n"])
def test_an_empty_file_is_a_site_with_nothing(tmp_path: Path, text: str) -> None:
    assert load_site(write(tmp_path, text)) == Site()


def test_an_unknown_member_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="unknown member kernal") as caught:
        load_site(write(tmp_path, "kernal: /srv/vmlinuz\n"))
    assert caught.value.hint.startswith("Did you mean kernel?")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kernel: 5\n", "kernel must be a text"),
        ("- kernel\n", "must have members"),
        ("extra: 5\n", "extra must have members"),
        ("extra:\n  a: [1]\n", r"extra\.a must be a text"),
        ("kernel: [\n", "not YAML"),
        ("image: !!python/object/apply:os.system ['true']\n", "not YAML"),
    ],
)
def test_wrong_content(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        load_site(write(tmp_path, text))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="No such file"):
        load_site(tmp_path / "none.yaml")
