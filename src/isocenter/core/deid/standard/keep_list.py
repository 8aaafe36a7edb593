"""Standard attributes outside Table E.1-1 that could carry identity, and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Literal, get_args

import yaml

from isocenter.core.deid.standard.dictionary import tag_of_keyword

Listed = Literal[
    "keep", "clean", "descriptor", "device", "deny", "class_uid", "instance_uid", "engine"
]


@cache
def keep_list() -> Mapping[int, Listed]:
    """The reviewed list by tag. What it does not have is to be denied."""
    text = (files("isocenter.core.deid") / "data" / "keep_list.yaml").read_text()
    read = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506
    kinds = get_args(Listed)
    return {tag_of_keyword(keyword): kind for kind in kinds for keyword in read[kind]}
