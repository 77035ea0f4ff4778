"""From rows to a network, step by step: the default of tables, and that of images."""

from ocsdf.utils.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "anchored_network": "ocsdf.recipes.tables",
        "core_rows": "ocsdf.recipes.tables",
        "fit_feature_maps": "ocsdf.recipes.feature_maps",
        "nearest_neighbor_margin": "ocsdf.recipes.tables",
    },
)
