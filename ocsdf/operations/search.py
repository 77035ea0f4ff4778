"""Where a number stands among increasing ones."""

from ocsdf.utils.compiled import compiled


@compiled
def count_at_most(numbers, first, last, x):
    """Count which of ``numbers[first:last]``, increasing, are at most x.

    The number of steps does not depend on x, so that a processor takes several searches at once.
    """
    base, length = first, last - first
    if length == 0:
        return 0
    while length > 1:
        half = length // 2
        base += half if numbers[base + half - 1] <= x else 0
        length -= half
    return base - first + (1 if numbers[base] <= x else 0)
