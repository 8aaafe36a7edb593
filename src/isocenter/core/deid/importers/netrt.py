"""NETRT's ``config.yaml``: the section ``anonymization``."""

from __future__ import annotations

import re

import yaml

from isocenter.core.deid.importers.imported import Collector, Imported
from isocenter.core.deid.rules.values import Change, ChangeKind
from isocenter.core.deid.rules.yaml_nodes import compose
from isocenter.core.errors import ConfigurationError

# NETRT's PIDManager: site, number of four digits, date of the first study.
_PATTERN = "{site}_{counter:04}_{StudyDate}"
_ENTITIES = ("PatientID", "PatientName")
_NEVER_READ = re.compile(r"full_anonymization|default_tags|generate_random_id_prefix")


def import_netrt(text: str) -> Imported:
    """Rules, pattern and site code of a NETRT configuration.

    Raises:
        ConfigurationError: no YAML, or no section ``anonymization``.
    """
    node = compose(text, "NETRT configuration")
    section = _child(node, "anonymization")
    if not isinstance(section, yaml.MappingNode):
        raise ConfigurationError("NETRT configuration: there is no section 'anonymization'")
    collector = Collector("netrt")
    switches = _Switches(section, collector)
    for key, value in section.value:
        switches.read(str(key.value), value)
    return switches.finish()


class _Switches:
    """Reads key by key."""

    def __init__(self, section: yaml.MappingNode, collector: Collector) -> None:
        self._collector = collector
        self._site = ""
        on = _truth(_child(section, "enabled"))
        self._rules_apply = on and _truth(_child(section, "apply_anonymization_rules"))
        self._codes_apply = on and _truth(_child(section, "apply_site_code"))

    def read(self, key: str, node: yaml.Node) -> None:
        line = node.start_mark.line + 1
        match key:
            case "enabled" | "apply_site_code" | "apply_anonymization_rules" | "use_consistent_pid":
                if not _truth(node):
                    why = "Isocenter de-identifies always, and gives every patient one pseudonym"
                    self._collector.unmapped(line, f"{key}: false", why)
            case "site_code":
                self._site = _text(node)
            case "pid_mapping_file":
                why = "give the file itself: its pseudonyms go on"
                self._collector.changed(line, f"{key}: {_text(node)}", why)
            case "study_description":
                change = Change(ChangeKind.REPLACE, _text(node))
                tags = ["/StudyDescription"]
                self._collector.rule(line, f"{key}: {_text(node)}", tags, change)
            case "rules":
                self._read_rules(node)
            case _:
                why = "NETRT never reads it" if _NEVER_READ.match(key) else "no key of NETRT"
                self._collector.unmapped(line, key, why)

    def _read_rules(self, node: yaml.Node) -> None:
        kinds = {"remove_tags": ChangeKind.REMOVE, "blank_tags": ChangeKind.EMPTY}
        for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
            kind = kinds.get(str(key.value))
            if kind is None:
                line = value.start_mark.line + 1
                never = _NEVER_READ.match(str(key.value))
                why = "NETRT never reads it" if never else "no key of NETRT"
                self._collector.unmapped(line, str(key.value), why)
                continue
            for tag in value.value if isinstance(value, yaml.SequenceNode) else ():
                self._read_tag(tag, kind)

    def _read_tag(self, node: yaml.Node, kind: ChangeKind) -> None:
        line, tag = node.start_mark.line + 1, _text(node)
        if not self._rules_apply:
            self._collector.unmapped(line, tag, "NETRT's rules are switched off in this file")
        elif tag in _ENTITIES and self._codes_apply:
            self._collector.changed(line, tag, "the pseudonym goes there, as NETRT's code does")
        else:
            self._collector.rule(line, tag, [tag], Change(kind))

    def finish(self) -> Imported:
        name = "NETRT"
        if not self._codes_apply:
            return self._collector.finish(name)
        return self._collector.finish(name, pattern=_PATTERN, site=self._site or "SITE")


def _child(node: yaml.Node | None, name: str) -> yaml.Node | None:
    for key, value in node.value if isinstance(node, yaml.MappingNode) else ():
        if key.value == name:
            return value if isinstance(value, yaml.Node) else None
    return None


def _text(node: yaml.Node) -> str:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def _truth(node: yaml.Node | None) -> bool:
    """NETRT's switches are on unless the file says otherwise."""
    return node is None or _text(node).lower() not in ("false", "no", "off")
