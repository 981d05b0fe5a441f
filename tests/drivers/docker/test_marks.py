from __future__ import annotations

from hypersdk.drivers.docker import marks

MADE = marks.made("id", tags={"a": "1", "": "2"}, folder="x", vcpus_maximum=2, memory_maximum=3)


def test_tags_are_ours_alone() -> None:
    labels = {**MADE, "of-the-image": "no tag"}
    assert marks.owned(labels)
    assert marks.tags(labels) == {"a": "1", "": "2"}


def test_of_others_all_labels_are_tags() -> None:
    assert marks.tags({"of": "others", marks.IDENTITY: "kept"}) == {"of": "others"}


def test_an_image_made_of_one_marks_nothing() -> None:
    labels = {**MADE, "own": "stays", **marks.without(MADE)}
    assert not marks.owned(labels)
    assert not labels[marks.IDENTITY]
    assert marks.tags(labels) == {"own": "stays"}
