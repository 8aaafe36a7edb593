"""Scripts of CTP's DICOM anonymizer: XML with ``<p>``, ``<e>``, ``<k>`` and ``<r>``, or the older
form with a property a line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from xml.parsers import expat

from pydicom.datadict import dictionary_has_tag, dictionary_VR, keyword_dict, keyword_for_tag

from isocenter.core.deid.importers.ctp_script import Branch, Script
from isocenter.core.deid.importers.ctp_values import NotMapped
from isocenter.core.deid.importers.imported import Collector, Imported
from isocenter.core.deid.policy import Option
from isocenter.core.deid.rules.site_rules import is_untouchable
from isocenter.core.deid.rules.values import Change, ChangeKind
from isocenter.core.errors import ConfigurationError

_MOST_CHARACTERS = 8_000_000
_TAG = re.compile(r"[0-9A-Fa-f]{8}")
_BY_CREATOR = re.compile(r"([0-9A-Fa-f]{1,4})\[(.+)\]([0-9A-Fa-f]{2})")
_PROPERTY = re.compile(r"(#?)(set|keep|remove|param)\.(.*?)=(.*)")
_CODES = {option.code: option for option in Option}
_METHOD_CODES = 0x00120064
_WRITTEN_BY_ENGINE = frozenset({0x00120062, 0x00120063, _METHOD_CODES})
_PATIENT = frozenset({0x00100010, 0x00100020})
# Elements without a script that CTP keeps when it removes what has none.
_KEPT_UNSCRIPTED = (
    "SOPClassUID",
    "SOPInstanceUID",
    "StudyInstanceUID",
    "(0028,xxxx)",
    "(7FE0,xxxx)",
    "private",
)


@dataclass(frozen=True, slots=True)
class _Element:
    """One element of the script: ``kind`` is p, e, k or r."""

    line: int
    kind: str
    enabled: bool
    t: str
    name: str
    text: str


def import_ctp(text: str) -> Imported:
    """Rules and options of a CTP script.

    Raises:
        ConfigurationError: neither XML nor properties.
    """
    if len(text) > _MOST_CHARACTERS:
        raise ConfigurationError(f"CTP script: longer than {_MOST_CHARACTERS} characters")
    elements = (
        _read_xml(text) if text.lstrip("\ufeff \t\r\n").startswith("<") else _read_lines(text)
    )
    return _Importer(elements).run()


class _Importer:
    """Goes through the elements of a script."""

    def __init__(self, elements: list[_Element]) -> None:
        self._elements = elements
        self._collector = Collector("ctp")
        self._parameters = {one.t: one.text for one in elements if one.kind == "p"}
        self._names = {
            one.name: int(one.t, 16)
            for one in elements
            if one.kind == "e" and one.name and _TAG.fullmatch(one.t)
        }
        self._processed: list[str] = []

    def run(self) -> Imported:
        for one in self._elements:
            if one.kind == "e" and one.enabled:
                self._scripted(one)
        for one in self._elements:
            if one.kind == "k" and one.enabled:
                self._kept(one)
        for one in self._elements:
            if one.kind == "r":
                self._removed(one)
        if not any(one.kind == "r" and one.t == "privategroups" for one in self._elements):
            self._collector.changed(
                1, 'no <r t="privategroups">', "private elements without a script are removed"
            )
        return self._collector.finish(self._parameters.get("PROFILENAME", "").strip() or "CTP")

    def _scripted(self, one: _Element) -> None:
        source = f"{one.t} {one.name}: {one.text}"
        pattern = _pattern_of(one.t)
        if pattern is None:
            self._collector.unmapped(one.line, source, "no tag")
            return
        tag = int(one.t, 16) if _TAG.fullmatch(one.t) else None
        if tag is not None and is_untouchable(tag):
            self._untouchable(one, tag, source)
            return
        if tag is not None and tag & 0x10000 and tag & 0xFFFF <= 0xFF:
            self._collector.unmapped(
                one.line, source, "private creators stay where an element of their block stays"
            )
            return
        changed: list[str] = []
        script = Script(self._parameters, self._keyword_of, tag in _PATIENT, changed)
        try:
            branches = script.branches(one.text)
        except (NotMapped, ConfigurationError) as error:
            self._collector.unmapped(one.line, source, str(error))
            return
        self._add(one, source, pattern, branches)
        for why in dict.fromkeys(changed):
            self._collector.changed(one.line, source, why)
        if one.text.strip() == "@process()":
            self._processed.append(pattern)
        elif tag is not None and _is_sequence(tag) and branches[0].change.kind is ChangeKind.KEEP:
            why = "the sequence stays, but its items are de-identified by rules and profile"
            self._collector.changed(one.line, source, why)

    def _add(self, one: _Element, source: str, pattern: str, branches: list[Branch]) -> None:
        for branch in branches:
            tag = f"/{pattern}" if branch.where == "root" else pattern
            self._collector.rule(
                one.line,
                source,
                [tag],
                branch.change,
                value=branch.value,
                conditions=branch.conditions,
            )

    def _untouchable(self, one: _Element, tag: int, source: str) -> None:
        """What the engine writes itself, or what stays in any case."""
        text = one.text.strip()
        if tag == _METHOD_CODES:
            for code in re.findall(r"\d{6}", text):
                if code in _CODES:
                    self._collector.options.add(_CODES[code])
                elif code != "113100":
                    self._collector.unmapped(one.line, source, f"{code} is no code of an option")
        elif tag in _WRITTEN_BY_ENGINE:
            if text.removeprefix("@always()") != "YES":
                self._collector.changed(one.line, source, "Isocenter writes its own")
        elif text not in ("@keep()", "@require()", "@process()", "@always()@require()"):
            self._collector.unmapped(one.line, source, "the object could not be read without it")

    def _kept(self, one: _Element) -> None:
        if one.t.startswith("safe"):
            self._collector.options.add(Option.RETAIN_SAFE_PRIVATE)
            return
        source = f"keep group {one.t}"
        group = one.t.strip().rjust(4, "0")
        if not re.fullmatch(r"[0-9A-Fa-f]{4}", group):
            self._collector.unmapped(one.line, source, "no group")
        elif group not in ("0002", "7FE0", "7fe0"):
            self._collector.rule(one.line, source, [f"({group},xxxx)"], Change(ChangeKind.KEEP))

    def _removed(self, one: _Element) -> None:
        source = f"remove {one.t}"
        match one.t:
            case "privategroups":
                if not one.enabled:
                    why = "private elements without a script are removed all the same"
                    self._collector.changed(one.line, source + " (off)", why)
            case "unspecifiedelements":
                if one.enabled:
                    self._remove_unscripted(one.line, source)
            case "curves" | "overlays":
                if one.enabled:
                    tags = ["50xxxxxx" if one.t == "curves" else "60xxxxxx"]
                    self._collector.rule(one.line, source, tags, Change(ChangeKind.REMOVE))
            case _:
                self._collector.unmapped(one.line, source, "not known")

    def _remove_unscripted(self, line: int, source: str) -> None:
        on = {one.t for one in self._elements if one.kind == "r" and one.enabled}
        kept = list(_KEPT_UNSCRIPTED)
        kept += [group for name, group in _REPEATING.items() if name not in on]
        tags = ["/(xxxx,xxxx)", *(f"{path}/(xxxx,xxxx)" for path in self._processed)]
        remove = Change(ChangeKind.REMOVE)
        # Elements whose script has no counterpart must not fall to this rule.
        scripted = [
            pattern
            for one in self._elements
            if one.kind == "e" and one.enabled and (pattern := _pattern_of(one.t)) is not None
        ]
        self._collector.rule(line, source, tags, remove, excluded=(*kept, *scripted))

    def _keyword_of(self, element: str) -> str:
        """The keyword of an element by its DICOM keyword, the script's own name, or its tag."""
        bare = element.strip("[]()").replace(",", "")
        if element in keyword_dict:
            return element
        tag = self._names.get(element)
        if tag is None and _TAG.fullmatch(bare):
            tag = int(bare, 16)
        keyword = "" if tag is None else keyword_for_tag(tag)
        if not keyword:
            raise NotMapped(f"{element} is no element that is known")
        return keyword


_REPEATING = {"curves": "50xxxxxx", "overlays": "60xxxxxx"}


def _pattern_of(t: str) -> str | None:
    if _TAG.fullmatch(t):
        return f"({t[:4]},{t[4:]})"
    found = _BY_CREATOR.fullmatch(t)
    if found is None:
        return None
    return f'({found[1].rjust(4, "0")},xx{found[3]},"{found[2].strip()}")'


def _is_sequence(tag: int) -> bool:
    return bool(dictionary_has_tag(tag) and dictionary_VR(tag) == "SQ")


def _read_xml(text: str) -> list[_Element]:
    """The elements of a script, with their lines. Entities are refused, for safety."""
    elements: list[_Element] = []
    opened: list[tuple[int, str, dict[str, str]]] = []
    content: list[str] = []
    parser = expat.ParserCreate()

    def start(name: str, attributes: dict[str, str]) -> None:
        opened.append((parser.CurrentLineNumber, name, attributes))
        content.clear()

    def end(name: str) -> None:
        line, _, attributes = opened.pop()
        if name in ("p", "e", "k", "r"):
            t = attributes.get("t", "").strip()
            elements.append(
                _Element(
                    line,
                    name,
                    name == "p" or attributes.get("en") == "T",
                    t,
                    attributes.get("n", "").strip(),
                    "".join(content).strip(),
                )
            )
        content.clear()

    def refuse(*_: object) -> None:
        raise ConfigurationError("CTP script: a document type is not allowed")

    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = content.append
    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(text.lstrip("\ufeff").encode(), True)
    except expat.ExpatError as error:
        raise ConfigurationError(f"CTP script: no XML: {error}") from error
    return elements


def _read_lines(text: str) -> list[_Element]:
    """The older form: ``set.[0010,0010]PatientName=@remove()``; # in front switches off."""
    elements = []
    for number, line in enumerate(text.lstrip("\ufeff").splitlines(), 1):
        found = _PROPERTY.fullmatch(line.strip())
        if found is None:
            if line.strip() and not line.lstrip().startswith(("#", "!")):
                raise ConfigurationError(f"CTP script: line {number} is no property")
            continue
        off, kind, key, value = found.groups()
        elements.append(_of_property(number, not off, kind, key.strip(), value.strip()))
    if not elements:
        raise ConfigurationError("CTP script: there is nothing in it")
    return elements


def _of_property(line: int, enabled: bool, kind: str, key: str, value: str) -> _Element:
    if kind == "param":
        return _Element(line, "p", True, key, "", value)
    if kind == "set":
        found = re.fullmatch(r"\[(.*)\](.*)", key)
        tag = (found[1] if found else key).replace(",", "", 1).strip()
        return _Element(line, "e", enabled, tag, found[2].strip() if found else "", value)
    if kind == "keep":
        return _Element(line, "k", enabled, key.removeprefix("group").strip(), "", value)
    return _Element(line, "r", enabled, key, "", value)
