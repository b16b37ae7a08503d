"""Random variables of shapes that all differ, such as embeddings of many vocabularies."""

from dataclasses import dataclass

import jax


@dataclass(frozen=True)
class Shapes:
    """`variables` matrices of 8 columns; no two have as many rows."""

    variables: int = 100

    @property
    def name(self) -> str:
        return f"{self.variables} shapes"

    def lengths(self) -> range:
        """Return the numbers of rows."""
        return range(10, 10 + self.variables)

    def inputs(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        return ()
