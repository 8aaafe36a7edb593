"""Names of persons as people read them."""

from __future__ import annotations


def person_name(text: str) -> str:
    """A PN (PS3.5 6.2.1) as it is read.

    ``Yamada^Tarou=山田^太郎`` → ``Yamada, Tarou · 山田 太郎``
    """
    groups = text.split("=")
    written = []
    for index, group in enumerate(groups[:2]):
        family, given, middle, prefix, suffix, *_ = [
            part.strip() for part in [*group.split("^"), "", "", "", "", ""]
        ]
        if index == 0:
            rest = " ".join(part for part in (prefix, given, middle, suffix) if part)
            written.append(", ".join(part for part in (family, rest) if part))
        else:
            written.append(" ".join(part for part in (family, given, middle) if part))
    return " · ".join(part for part in dict.fromkeys(written) if part)
