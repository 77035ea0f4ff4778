"""Tables: read from files and archives, downloaded, split."""

from ocsdf.utils.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "Reading": "ocsdf.data.features",
        "RowSummary": "ocsdf.data.summaries",
        "Split": "ocsdf.data.splits",
        "Table": "ocsdf.data.tables",
        "data_home": "ocsdf.data.downloads",
        "load_features": "ocsdf.data.tables",
        "load_fixed_split": "ocsdf.data.fixed_splits",
        "load_table": "ocsdf.data.tables",
        "read_table": "ocsdf.data.readers",
        "reduce_rows": "ocsdf.data.splits",
        "split": "ocsdf.data.splits",
        "split_one_class": "ocsdf.data.splits",
    },
)
