"""Passwords that are tried first, however they are dressed up."""

from __future__ import annotations

import re

#: Words around which people build passwords; compared without digits, signs and disguises.
WORDS = frozenset(
    """
    abc abcd access account admin administrator america apple august autumn backup baseball
    basketball batman changeit changeme charlie chelsea cheese computer dashboard database daemon
    december default demo dragon eminem february flower football freedom friday guest hello
    helloworld hypervisor hypervisord hypersdk iloveyou internet january jesus july june
    killer kubernetes kvm letmein libvirt liverpool login london love manager master
    michael migration monday monkey mustang newpassword november october oracle passphrase
    passw password passwordpassword pokemon princess private proxmox pwd qazwsx qemu qwer qwert
    qwerty qwertyuiop qwertz qwertzuiop root samsung saturday secret secure september server shadow
    spring starwars startrek storage summer sunday sunshine super superman supersecret superuser
    support sysadmin system temp temporary test tester testing testtest thursday trustno
    tuesday ubuntu unknown user username vcenter virtual virtualization virtualmachine vmware
    vsphere wednesday welcome whatever winter zaq zxcvbn zxcvbnm asdf asdfgh asdfghjkl asdfasdf
    correcthorse correcthorsebatterystaple thisisapassword mypassword yourpassword nopassword
    """.split()  # noqa: SIM905 - a word list is read as one
)
#: Rows of keyboards and the alphabet, forwards; parts of them are no passwords.
_ROWS = (
    "abcdefghijklmnopqrstuvwxyz",
    "01234567890123456789",
    "qwertyuiopasdfghjklzxcvbnm",
    "qwertzuiopasdfghjklyxcvbnm",
    "azertyuiopqsdfghjklmwxcvbn",
    "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p",
    "qazwsxedcrfvtgbyhnujmikolp",
)
#: Signs that stand for letters.
_DISGUISE = str.maketrans({"0": "o", "1": "i", "3": "e", "4": "a", "5": "s", "7": "t",
                           "@": "a", "$": "s", "!": "i", "8": "b", "9": "g"})  # fmt: skip
#: Different characters that a password has at least.
_DIFFERENT_LEAST = 5


def weakness(password: str, name: str) -> str:
    """Why ``password`` of the user ``name`` is easily guessed; empty when we know no reason."""
    lower = password.lower()
    if len(set(lower)) < _DIFFERENT_LEAST:
        return f"it has fewer than {_DIFFERENT_LEAST} different characters"
    if any(lower in row or lower[::-1] in row for row in _ROWS):
        return "it is a row of the keyboard or the alphabet"
    if _repeated(lower):
        return "it repeats one short word"
    who = name.partition("@")[0].lower()
    if len(who) > 2 and who in lower and len(lower) < len(who) + 8:
        return "it is little more than the user's name"
    if any(word in WORDS for word in _stems(lower)):
        return "it is made of a word that is tried first"
    return ""


def _repeated(text: str) -> bool:
    return any(
        text == (text[:length] * len(text))[: len(text)] for length in range(1, len(text) // 2 + 1)
    )


def _stems(lower: str) -> set[str]:
    """What is left of it without digits and signs at its ends, and without disguises."""
    letters = re.sub(r"[^a-z]", "", lower)
    bare = re.sub(r"^[^a-z]+|[^a-z]+$", "", lower)
    plain = re.sub(r"[^a-z]", "", bare.translate(_DISGUISE))
    dressed = re.sub(r"[^a-z]", "", re.sub(r"[^a-z@$]+$", "", lower).translate(_DISGUISE))
    whole = re.sub(r"[^a-z]", "", lower.translate(_DISGUISE))
    return {letters, plain, dressed, whole}
