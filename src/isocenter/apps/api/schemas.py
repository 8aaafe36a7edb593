"""What answers have in common."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from ninja import Field, Schema
from pydantic import BaseModel, ConfigDict

Item = TypeVar("Item")


class Row(BaseModel):
    """An object in an answer. Keys that it does not name are left out."""

    model_config = ConfigDict(extra="ignore", from_attributes=True)


class Command(BaseModel):
    """What a request's body holds; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid")


class Paging(Schema):
    """Which part of a long list."""

    limit: int = Field(50, ge=1, le=500, description="how many at most")
    cursor: str = Field("", max_length=512, description="`next` of the page before")


class PageOf(BaseModel, Generic[Item]):
    """A part of a list."""

    items: list[Item]
    next: str | None = Field(None, description="the `cursor` of the next page; null at the end")


class PlaceProblem(Row):
    """What is wrong at one place of what was sent."""

    path: str = Field(description="field, or path in a definition such as `steps[1].with.formats`")
    error: str
    hint: str = ""


class Problem(Row):
    """Every answer with a status of 400 or more."""

    error: str = Field(description="what is wrong")
    hint: str = Field("", description="what to do about it")
    problems: list[PlaceProblem] = Field([], description="where several places are wrong")
    path: str | None = Field(None, description="of a pipeline's error: where in the definition")
    position: int | None = Field(None, description="of a condition's error: which character")


class Done(Row):
    """That it is done."""

    done: bool = True


#: Times are ISO 8601 with their zone, in UTC.
Moment = Annotated[str | None, Field(json_schema_extra={"format": "date-time"})]


def with_problems(success: Any, status: int = 200) -> dict[Any, Any]:
    """Answers of an operation, for its description."""
    refused = dict.fromkeys((400, 401, 403, 404, 409, 422), Problem)
    return {status: success, **refused}
