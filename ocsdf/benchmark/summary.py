"""Everything that the report says of one protocol, computed from its rows."""

from typing import NamedTuple

import pandas as pd

from ocsdf.benchmark.rank_tests import RankTest, compare_ranks
from ocsdf.benchmark.statistics import (
    average_families,
    certified_means,
    mean_auroc,
    median_costs,
    rank_tables,
    seed_spread,
    shortfalls,
    sort_key,
)

# Shown with their certificates, but not ranked, as is every variant named "OCSDF ...".
BESIDE = ("nearest neighbour", "random subsamples")


class ProtocolSummary(NamedTuple):
    """What one protocol's rows say: figures of the detectors in the ranking and beside it.

    ``auroc`` (tables x detectors) is in percent, the mean over seeds, best mean rank first, NaN for
    a cell that failed; `left_out` tables, which some detector in the ranking lacks, are in no mean
    and no rank. ``detectors`` has their means and ranks, with families averaged first where there
    are any; `transductive`, `leaking` and `uncut` name detectors that use the test rows together,
    tables whose test rows leak into training, and detectors that had all rows of the large tables.
    """

    protocol: str
    auroc: pd.DataFrame
    failures: pd.DataFrame
    left_out: list
    detectors: pd.DataFrame
    rank_test: RankTest
    family_rank_test: RankTest | None
    beside: pd.DataFrame
    certified: pd.DataFrame
    certified_tables: int
    spread: pd.DataFrame
    costs: pd.DataFrame
    transductive: list
    leaking: list
    uncut: list


def summarize_protocol(rows, beside=BESIDE):
    """Compute everything that the report says of one protocol."""
    auroc, failures = mean_auroc(rows)
    apart = [name for name in auroc if name in beside or name.startswith("OCSDF ")]
    was_run = rows.groupby(["table", "detector"]).size().unstack().reindex(auroc.index)
    left_out = was_run.index[was_run.drop(columns=apart).isna().any(axis=1)].tolist()
    ranking = auroc.drop(columns=apart)
    complete = ranking.drop(index=left_out)
    rank_test = compare_ranks(rank_tables(complete))
    ranking = ranking[rank_test.mean_ranks.index]
    families = average_families(complete)
    detectors = shortfalls(complete).assign(
        mean_auroc=complete.mean(), mean_rank=rank_test.mean_ranks
    )
    family_rank_test = None
    if len(families) < len(complete):
        family_rank_test = compare_ranks(rank_tables(families))
        detectors["family_mean_auroc"] = families.mean()
        detectors["family_mean_rank"] = family_rank_test.mean_ranks
    order = [*ranking, *apart]
    certified, certified_tables = certified_means(rows)
    return ProtocolSummary(
        protocol=rows["protocol"].iloc[0],
        auroc=ranking,
        failures=failures,
        left_out=left_out,
        detectors=detectors.loc[list(ranking)],
        rank_test=rank_test,
        family_rank_test=family_rank_test,
        beside=_beside(auroc[apart], certified),
        certified=certified.reindex([name for name in order if name in certified.index]),
        certified_tables=certified_tables,
        spread=seed_spread(rows),
        costs=median_costs(rows).reindex(order),
        transductive=sorted(set(rows.loc[rows["transductive"].eq(True), "detector"])),
        leaking=sorted(set(rows.loc[rows["leaks"].eq(True), "table"]), key=sort_key),
        uncut=sorted(set(rows.loc[rows["rows"].eq("all"), "detector"])),
    )


def _beside(auroc, certified):
    means = auroc.mean().rename("mean_auroc").to_frame()
    return means.join(certified.drop(columns=0.0, errors="ignore"))
