"""YAML of routes and pipelines from a person: checked with lines, then applied."""

from __future__ import annotations

from typing import Any

from django import forms

from isocenter.apps.routing import definitions
from isocenter.apps.routing.documents import PipelineErrors, RoutesFile
from isocenter.apps.routing.yaml_places import broken_line, line_of
from isocenter.core.errors import ConfigurationError

MAX_BYTES = 1 << 20


class ImportForm(forms.Form):
    """A file, or text; the file wins."""

    upload = forms.FileField(
        required=False,
        label="A file",
        widget=forms.ClearableFileInput(attrs={"accept": ".yaml,.yml,text/yaml"}),
    )
    text = forms.CharField(
        required=False,
        label="or text",
        max_length=MAX_BYTES,
        strip=False,
        widget=forms.Textarea(
            attrs={"rows": "18", "class": "mono", "spellcheck": "false", "dir": "ltr"}
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.file: RoutesFile | None = None
        self.problems: list[dict[str, Any]] = []

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        upload = cleaned.get("upload")
        if upload is not None:
            if upload.size > MAX_BYTES:
                self.add_error("upload", "It is larger than 1 MB; such a file has no routes.")
                return cleaned
            try:
                cleaned["text"] = upload.read().decode("utf-8")
            except UnicodeDecodeError:
                self.add_error("upload", "It is no text in UTF-8.")
                return cleaned
            # So that it can be mended here.
            self.data = {**self.data.dict(), "text": cleaned["text"]}  # type: ignore[attr-defined]
        if not cleaned.get("text", "").strip() and not self.errors:
            self.add_error("text", "Choose a file, or write something.")
        return cleaned

    def check(self, *, may_nodes: bool) -> None:
        """Find everything that is wrong; `file` is set where nothing is."""
        text = self.cleaned_data["text"]
        try:
            file = definitions.check_yaml(text, where="it")
        except PipelineErrors as errors:
            self._blame(errors, text)
            return
        except ConfigurationError as error:
            self.problems.append({"line": broken_line(error), "path": "", "text": str(error)})
            return
        if file.nodes and not may_nodes:
            self.problems.append(
                {
                    "line": line_of(text, "nodes"),
                    "path": "nodes",
                    "text": "changing nodes is another right, which you do not have",
                }
            )
            return
        self.file = file

    def keep(self, *, actor: str) -> list[definitions.Change]:
        """Apply it; what each thing came to."""
        text = self.cleaned_data["text"]
        try:
            return definitions.apply_yaml(text, where="it", actor=actor)
        except PipelineErrors as errors:
            self._blame(errors, text)
            self.file = None
            return []

    def _blame(self, errors: PipelineErrors, text: str) -> None:
        for error in errors.errors:
            message = str(error).removeprefix(f"{error.path}: ")
            self.problems.append(
                {"line": line_of(text, error.path), "path": error.path, "text": message}
            )
