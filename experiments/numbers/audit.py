"""What the pages say of the audit: attacks on ten models, every point held to the bound."""

from experiments.numbers.words import record

_TOOLS = ("pgd", "foolbox", "art")


def audit():
    """How many models were attacked, with how many points, and what was found beyond the bound."""
    rows = record("attack_audit")
    points = int(sum(rows[f"{tool}_points"].sum() for tool in _TOOLS))
    beyond = int(sum(rows[f"{tool}_rows_beyond"].sum() for tool in _TOOLS))
    starts, pairs = int(rows["starts"].sum()), int(rows["pairs_beyond"].sum())
    return (
        f"Of {points:,} points tried on {len(rows)} models, {beyond} lay beyond the bound; of "
        f"{starts:,} searches for a steep pair, {pairs} found one that is steeper."
    )


PARTS = {"audit": audit}
