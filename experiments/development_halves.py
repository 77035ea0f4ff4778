"""Draw the development tables' halves: constants are chosen on one, shown on the other.

The seed was fixed before any recipe was run.
"""

import numpy as np

HALF_SEED = 20


def halves(names):
    """Return the names of the chosen and of the shown half, each sorted."""
    names = sorted(names)
    order = np.random.default_rng(HALF_SEED).permutation(len(names))
    middle = len(names) // 2
    return tuple(
        [names[index] for index in sorted(part)] for part in (order[:middle], order[middle:])
    )
