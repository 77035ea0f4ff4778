"""Operations that end with a factor."""

from dataclasses import dataclass, field

from ocsdf.operations.base import Operation
from ocsdf.operations.fields import as_number, freeze, readings


@dataclass(frozen=True, eq=False)
class Scaled(Operation):
    """A map times a coefficient, which bounds it where the map alone is 1-Lipschitz."""

    coefficient: float = field(default=1.0, kw_only=True)

    def __post_init__(self):
        freeze(self, coefficient=as_number(self.coefficient, "coefficient"))

    def _bound(self, shape):
        return float(readings(self.coefficient))
