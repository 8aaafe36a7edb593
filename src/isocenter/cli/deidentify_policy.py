"""What the options of ``isocenter deidentify`` say of its policy."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from isocenter.cli.platform import USAGE, fail
from isocenter.core.errors import ConfigurationError

if TYPE_CHECKING:
    from isocenter.core.deid.policy import Policy

T = TypeVar("T", bound=str)
_PROFILES: tuple[str, ...] = ("basic",)


def policy_of(
    *,
    profile: str,
    options: list[str] | None,
    dates: str,
    pixels: str,
    faces: str,
    documents: str,
    whole_weeks: bool,
    keep_ages: bool,
    rules: list[Path] | None,
    presets: list[str] | None,
) -> Policy:
    """The policy that the options say; a mistake ends the command."""
    from isocenter.core.deid.policy import Option, Policy
    from isocenter.core.deid.rules.presets import preset
    from isocenter.core.deid.rules.site_rules import RuleSet

    one_of("--profile", profile, _PROFILES)
    named = [name.strip() for text in options or () for name in text.split(",") if name.strip()]
    for name in named:
        one_of("--option", name, tuple(Option))
    if Option.CLEAN_PIXEL_DATA in named and pixels == "off":
        fail("--option clean-pixel-data says that pixels are cleaned: give --pixels too", USAGE)
    if Option.CLEAN_RECOGNIZABLE_VISUAL_FEATURES in named and faces == "ignore":
        fail("--option clean-recognizable-visual-features: give --faces too", USAGE)
    try:
        site = [RuleSet.from_yaml(path) for path in rules or ()]
        site += [preset(name) for name in presets or ()]
        together = site[0] if site else None
        for more in site[1:]:
            together = together + more if together else more
        return Policy(
            options=frozenset(Option(name) for name in named),
            dates=one_of("--dates", dates, ("remove", "shift", "keep")),
            pixels=one_of("--pixels", pixels, ("off", "templates", "ocr")),
            faces=one_of("--faces", faces, ("ignore", "refuse", "deface")),
            documents=one_of("--documents", documents, ("refuse", "drop")),
            whole_weeks=whole_weeks,
            keep_ages=keep_ages,
            rules=together,
        )
    except ConfigurationError as error:
        fail(str(error), USAGE)


def one_of(name: str, value: str, allowed: tuple[T, ...]) -> T:
    """The choice that an option names; a mistake ends the command."""
    for one in allowed:
        if value == one:
            return one
    fail(f"{name} {value}: choose one of {', '.join(allowed)}", USAGE)


def words_of(path: Path | None) -> tuple[str, ...]:
    """The words of a file, folded; lines that start with # are comments."""
    if path is None:
        return ()
    from isocenter.core.deid.text.matching import tokens_of

    lines = path.read_text("utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#"))
    return tuple(sorted({token.folded for token in tokens_of(text)}))
