"""What is wrong with a text of rules, with the line of each mistake."""

from __future__ import annotations

import re
from dataclasses import dataclass

from isocenter.core.deid.rules.site_rules import RuleSet
from isocenter.core.errors import ConfigurationError

_LINE = re.compile(r"(?:rules: )?line (\d+): (.*)", re.DOTALL)
_YAML_LINE = re.compile(r"line (\d+), column \d+")


@dataclass(frozen=True)
class RuleProblem:
    """One mistake; ``line`` counts from 1, 0 where none can be named."""

    line: int
    text: str

    def __str__(self) -> str:
        return f"Line {self.line}: {self.text}" if self.line else self.text


def rule_problems(text: str) -> list[RuleProblem]:
    """Every mistake of a text of rules; empty for one that can be used, and for none."""
    if not text.strip():
        return []
    try:
        RuleSet.from_yaml(text)
    except ConfigurationError as error:
        return _problems(str(error))
    return []


def _problems(message: str) -> list[RuleProblem]:
    if "no YAML:" in message:
        return [_no_yaml(message)]
    found = []
    for line in message.removeprefix("rules:").splitlines():
        if not line.strip():
            continue
        matched = _LINE.fullmatch(line.strip())
        problem = RuleProblem(int(matched[1]), matched[2]) if matched else RuleProblem(0, line)
        found.append(problem)
    return found


def _no_yaml(message: str) -> RuleProblem:
    """The parser's last mark is where it gave up; what it quotes around it is left out."""
    marks = _YAML_LINE.findall(message)
    said = [line.strip() for line in message.splitlines()[1:] if not line.startswith(" ")]
    reason = said[-1] if said else "it cannot be read"
    return RuleProblem(int(marks[-1]) if marks else 0, f"this is no YAML: {reason}")
