"""Files of a complete export brought to a place, and local files removed when that is confirmed."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from hypersdk.artifacts.checksums import digest_of
from hypersdk.artifacts.places.comparing import compare_placed
from hypersdk.artifacts.places.open import open_place
from hypersdk.artifacts.places.ports import Place, PlacedFile
from hypersdk.datapath.cancel import CancelToken
from hypersdk.flows.exporting.layout import CHECKSUMS_FILE, Layout
from hypersdk.flows.exporting.options import ExportOptions
from hypersdk.flows.exporting.results import Exported
from hypersdk.model.errors import AlreadyExists, Damaged, HyperSDKError
from hypersdk.model.progress import Reporter, silent
from hypersdk.observe.progress import Counters, ProgressTicker


def place_of(options: ExportOptions) -> Place | None:
    """Where the files go; None: nowhere. Opened before anything is read, so that a mistake in its
    URL costs no hours."""
    return open_place(options.upload) if options.upload else None


class Uploader:
    """Brings the files of one export to ``<place>/<name>/``."""

    def __init__(
        self,
        place: Place,
        name: str,
        options: ExportOptions,
        reporter: Reporter,
        token: CancelToken,
    ) -> None:
        self._place = place
        self._name = name
        self._options = options
        self._reporter = reporter
        self._token = token

    @property
    def url(self) -> str:
        """Where the files are."""
        return f"{self._place.url.rstrip('/')}/{self._name}"

    def remote(self, file: str) -> str:
        """Name of a file in the place."""
        return f"{self._name}/{file}"

    def upload(self, exported: Exported) -> Exported:
        """All files, the list of checksums last. Local files go when each was confirmed."""
        names = [file.name for file in exported.files]
        names.sort(key=lambda name: name == CHECKSUMS_FILE)
        try:
            for name in names:
                self.put(exported.folder / name)
        except HyperSDKError as error:
            error.message = f"the export is complete in {exported.folder}, but: {error.message}"
            error.args = (error.message, *error.args[1:])
            raise
        if not self._options.keep_local:
            for name in names:
                (exported.folder / name).unlink()
            with suppress(OSError):  # something else is in it
                exported.folder.rmdir()
        return replace(exported, uploaded=self.url, local=self._options.keep_local)

    def put(self, path: Path) -> PlacedFile:
        """One file. Raises Damaged when it did not arrive as it is here."""
        counters = Counters()
        size = path.stat().st_size
        with ProgressTicker(f"{self._name}: upload {path.name}", size, counters, self._reporter):
            placed = self._place.put(
                self.remote(path.name),
                path,
                overwrite=self._options.overwrite,
                progress=lambda count: counters.add(read=count),
                cancel=self._token,
            )
        if placed.size != size:
            raise Damaged(
                f"{self.url}/{path.name} has {placed.size} bytes, {size} were sent",
                hint="Delete it there and bring it again.",
            )
        self.confirm(path.name, placed, placed.sha256 or digest_of(path, cancel=self._token))
        return placed

    def put_or_find(self, path: Path) -> None:
        """One file, unless the same is there: a run that was killed had brought it."""
        try:
            self.put(path)
        except AlreadyExists as error:
            sha256 = digest_of(path, cancel=self._token)
            try:
                compare_placed(self._place, self.remote(path.name), sha256, cancel=self._token)
            except Damaged:
                raise error from None

    def confirm(self, file: str, placed: PlacedFile, sha256: str) -> None:
        """Read it back unless the place has compared it, where somebody relies on it."""
        relied_on = self._options.verify or not self._options.keep_local
        if relied_on and not placed.confirmed:
            compare_placed(self._place, self.remote(file), sha256, cancel=self._token)

    def delete(self, file: str) -> None:
        """After a failure."""
        with CancelToken().scope(), suppress(HyperSDKError):  # the first error is the one to tell
            self._place.delete(self.remote(file))

    @property
    def place(self) -> Place:
        return self._place

    def close(self) -> None:
        self._place.close()


def bring_files(
    layout: Layout,
    names: Sequence[str],
    options: ExportOptions,
    *,
    sent: Collection[str] = (),
    arrived: Callable[[str], None] = lambda name: None,  # noqa: ARG005
    reporter: Reporter = silent,
    cancel: CancelToken | None = None,
) -> list[str]:
    """Bring files of a complete export to the place of the options, the list of checksums last;
    returns where they are. Local files stay.

    ``sent``: files that an earlier call brought. ``arrived`` is called with each as it is there. A
    file that is there already is what was sent when its content is the same. Raises AlreadyExists
    when it is not, StoreError, Damaged, Interrupted.
    """
    token = cancel or CancelToken()
    place = open_place(options.upload)
    uploader = Uploader(place, layout.name, options, reporter, token)
    try:
        for name in sorted(names, key=lambda name: name == CHECKSUMS_FILE):
            if name not in sent:
                uploader.put_or_find(layout.folder / name)
                arrived(name)
    finally:
        uploader.close()
    return [f"{uploader.url}/{name}" for name in names]
