"""Reports: what loading made of each array of a file and of each variable of a function, as one table."""

import functools
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Row:
    """What became of one variable.

    Attributes:
        fate: `"used"`, `"missing"` (of the specs alone), `"left"` (of the file alone), or `"beside"` (that,
            too: what TF1 keeps beside variables).
        name: The variable's full name here; for what is left or beside, its name in the file.
        stored: Its name in the file; "" where it is missing.
        was: Element type and shape in the file: `"float64[3,2]"`; "" where it is missing.
        became: Element type and shape here; "" for what is left or beside.
    """

    fate: str
    name: str
    stored: str
    was: str
    became: str

    @property
    def notes(self) -> list[str]:
        """What is to be said of it, in words."""
        if self.fate == "missing":
            return ["drawn anew"]
        if self.fate in ("left", "beside"):
            return []
        cast = [f"{self.was} in the file"] if self.was != self.became else []
        return cast + ([f"{self.stored} in the file"] if self.stored != self.name else [])


class Report:
    """What was used, renamed, left, missing and cast when a file was loaded; `print` shows one table.

    Args:
        path: The file or folder.
        rows: Gives its rows; they are made when somebody looks.
        along: What the file has beside variables, and what becomes of it: `{"step": "int64[]"}`.
    """

    def __init__(self, path: str, rows: Callable[[], Iterable[Row]], along: dict[str, str]) -> None:
        self.path = path
        self.along = along
        self._rows = rows

    @functools.cached_property
    def rows(self) -> tuple[Row, ...]:
        """One row for each variable, in the order of specs or file; then one for each array that was left."""
        return tuple(self._rows())

    @property
    def used(self) -> dict[str, str]:
        """Full name -> name in the file, of every variable that was found there."""
        return {row.name: row.stored for row in self.rows if row.fate == "used"}

    @property
    def renamed(self) -> dict[str, str]:
        """Name in the file -> full name, where the two differ."""
        return {stored: name for name, stored in self.used.items() if stored != name}

    @property
    def cast(self) -> dict[str, tuple[str, str]]:
        """Full name -> element type and shape in the file and here, where the two differ."""
        return {
            row.name: (row.was, row.became)
            for row in self.rows
            if row.fate == "used" and row.was != row.became
        }

    @property
    def missing(self) -> list[str]:
        """Full names that the file does not have, and that are drawn anew."""
        return [row.name for row in self.rows if row.fate == "missing"]

    @property
    def left(self) -> list[str]:
        """Names in the file that were not asked for."""
        return [row.name for row in self.rows if row.fate == "left"]

    @property
    def beside(self) -> list[str]:
        """Names in a TF1 file that were not asked for, of what optimizers and averages keep, and the step."""
        return [row.name for row in self.rows if row.fate == "beside"]

    def __str__(self) -> str:
        counts: dict[str, Any] = {
            "used": self.used,
            "renamed": self.renamed,
            "cast": self.cast,
            "missing": self.missing,
            "left": self.left,
        }
        if self.beside:
            counts["beside"] = self.beside
        head = ", ".join(f"{len(found)} {what}" for what, found in counts.items())
        cells = [(row.fate, row.name, row.became or row.was, ", ".join(row.notes)) for row in self.rows] + [
            ("along", what, "", fate) for what, fate in self.along.items()
        ]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in cells
        ]
        return "\n".join([f"{self.path}: {head}", *lines])
