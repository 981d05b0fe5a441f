"""Second step: how they are exported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid, Horizontal, VerticalScroll
from textual.message import Message
from textual.screen import Screen
from textual.widgets import Button, Checkbox, Footer, Input, Label, Select, Static

from hypersdk.cli import words
from hypersdk.cli.hyperexport.screen.port import Choices, Row

FORMATS = (
    ("OVF package", "ovf"),
    ("OVA archive", "ova"),
    ("qcow2 images", "qcow2"),
    ("raw images", "raw"),
    ("VMDK images", "vmdk"),
    ("VHDX images", "vhdx"),
    ("VDI images", "vdi"),
    ("VHD images", "vhd"),
)
#: Of one instance at the same time.
_PARALLEL_MOST = 64
_SWITCHES = (
    ("compress", "Compress"),
    ("verify", "Read again to verify"),
    ("manifest", "Artifact manifest"),
    ("power_off", "Shut down first"),
    ("overwrite", "Replace what is there"),
    ("keep_local", "Keep local files"),
)


class HowScreen(Screen[None]):
    """A form."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back"),
        Binding("f2", "next", "Continue"),
    ]

    class Back(Message):
        """To the list, with what was chosen here."""

        def __init__(self, choices: Choices) -> None:
            super().__init__()
            self.choices = choices

    class Chosen(Message):
        """The person goes on with these."""

        def __init__(self, choices: Choices) -> None:
            super().__init__()
            self.choices = choices

    def __init__(
        self,
        rows: tuple[Row, ...],
        choices: Choices,
        profiles: Mapping[str, Mapping[str, Any]],
    ) -> None:
        super().__init__()
        self._rows = rows
        self._choices = choices
        self._profiles = profiles

    def compose(self) -> ComposeResult:
        size = words.size(sum(row.size for row in self._rows))
        yield Static(f"How · {words.count(len(self._rows), 'instance')}, {size}", classes="title")
        with VerticalScroll(id="form"):
            with Grid(id="fields"):
                yield from self._fields()
            with Grid(id="switches"):
                for name, label in _SWITCHES:
                    yield Checkbox(label, getattr(self._choices, name), id=name, compact=True)
            yield Static(id="wrong")
            with Horizontal(classes="buttons"):
                yield Button("Back", id="back")
                yield Button("Continue", id="next", variant="primary")
        yield Footer(show_command_palette=False)

    def _fields(self) -> ComposeResult:
        choices = self._choices
        yield Label("Profile")
        yield Select(
            [(title, title) for title in self._profiles],
            prompt="none",
            value=choices.profile if choices.profile in self._profiles else Select.NULL,
            id="profile",
            compact=True,
        )
        yield Label("Format")
        yield Select(FORMATS, value=choices.format, allow_blank=False, id="format", compact=True)
        yield Label("Folder")
        yield Input(choices.output, id="output", compact=True)
        yield Label("Disks at a time")
        yield Input(str(choices.parallel), type="integer", id="parallel", compact=True)
        yield Label("Upload to")
        yield Input(
            choices.upload, placeholder="nowhere, or s3://bucket/prefix", id="upload", compact=True
        )
        yield Label("Encrypt for")
        yield Input(
            " ".join(choices.recipients),
            placeholder="nobody, or a public key: age1…",
            id="recipients",
            compact=True,
        )

    def on_mount(self) -> None:
        self.query_one("#profile", Select).focus()

    def on_select_changed(self, event: Select.Changed) -> None:
        if event.select.id != "profile" or event.value == self._choices.profile:
            return
        if isinstance(event.value, str):
            self._fill(self._read().with_profile(event.value, self._profiles[event.value]))
        else:
            self._choices = replace(self._choices, profile="", preset={})

    def _fill(self, choices: Choices) -> None:
        self._choices = choices
        self.query_one("#format", Select).value = choices.format
        self.query_one("#output", Input).value = choices.output
        self.query_one("#parallel", Input).value = str(choices.parallel)
        self.query_one("#upload", Input).value = choices.upload
        self.query_one("#recipients", Input).value = " ".join(choices.recipients)
        for name, _ in _SWITCHES:
            self.query_one(f"#{name}", Checkbox).value = getattr(choices, name)

    def _read(self) -> Choices:
        format = self.query_one("#format", Select).value
        parallel = self.query_one("#parallel", Input).value
        switches: dict[str, Any] = {
            name: self.query_one(f"#{name}", Checkbox).value for name, _ in _SWITCHES
        }
        return replace(
            self._choices,
            format=str(format),
            output=self.query_one("#output", Input).value.strip(),
            parallel=int(parallel) if parallel.strip().isdigit() else 0,
            upload=self.query_one("#upload", Input).value.strip(),
            recipients=_keys(self.query_one("#recipients", Input).value),
            **switches,
        )

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "back":
            self.action_back()
        else:
            self.action_next()

    def on_input_submitted(self) -> None:
        self.action_next()

    def action_back(self) -> None:
        self.post_message(self.Back(self._read()))

    def action_next(self) -> None:
        choices = self._read()
        wrong = _wrong(choices)
        self.query_one("#wrong", Static).update(wrong)
        if not wrong:
            self.post_message(self.Chosen(choices))


def _keys(text: str) -> tuple[str, ...]:
    """Keys of age stand by themselves; one of SSH is a kind and a key, with a comment or without,
    so it comes last."""
    ssh = text.find("ssh-")
    alone, last = (text[:ssh], text[ssh:].strip()) if ssh >= 0 else (text, "")
    return (*alone.replace(",", " ").split(), *([last] if last else []))


def _wrong(choices: Choices) -> str:
    if not choices.output:
        return "Name a folder for the exports."
    if not 1 <= choices.parallel <= _PARALLEL_MOST:
        return f"Disks at a time: give 1 to {_PARALLEL_MOST}."
    if choices.upload and "://" not in choices.upload and not choices.upload.startswith("file:"):
        return "Upload to: write a URL, like s3://bucket/prefix, or leave it empty."
    if not choices.keep_local and not choices.upload:
        return "Without an upload, the local files are all there is: keep them."
    for key in choices.recipients:
        if not key.startswith(("age1", "ssh-ed25519 ", "ssh-rsa ")):
            return "Encrypt for: write a public key (age1… or ssh-ed25519 …), no passphrase."
    return ""
