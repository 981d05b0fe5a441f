"""Which kinds of files disks of a package may be: URIs, as the descriptor names them.

DSP0243 leaves formats to URIs that their makers publish. raw, VHDX and VDI have none that several
products write; ours say what they are, and readers that do not know them fall back on looking.
"""

from __future__ import annotations

from hypersdk.ovf.machine import STREAM_OPTIMIZED

#: Format of an image → its URI.
URIS = {
    "stream-vmdk": STREAM_OPTIMIZED,
    "vmdk": "http://www.vmware.com/interfaces/specifications/vmdk.html#sparse",
    "qcow2": "http://www.gnome.org/~markmc/qcow-image-format.html",
    "vhd": "http://go.microsoft.com/fwlink/?LinkId=137171",
    "vhdx": "urn:hypersdk:disk-format:vhdx",
    "vdi": "urn:hypersdk:disk-format:vdi",
    "raw": "urn:hypersdk:disk-format:raw",
}


def format_of(uri: str) -> str:
    """Our name for a format; empty for one that we do not know.

    VMDKs are ``stream-vmdk`` when the URI says so, and ``vmdk`` for every other kind of it.
    """
    for name, known in URIS.items():
        if uri.lower() == known.lower():
            return name
    lowered = uri.lower()
    if "vmdk" in lowered:
        return "stream-vmdk" if lowered.endswith("streamoptimized") else "vmdk"
    if "qcow" in lowered:
        return "qcow2"
    return ""
