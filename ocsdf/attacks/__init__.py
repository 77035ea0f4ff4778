"""What an attacker reaches: l2 PGD, random search, steepest pairs, attacks of foolbox and ART."""

from ocsdf.utils.lazy import lazy_names

__getattr__, __dir__, __all__ = lazy_names(
    __name__,
    {
        "Attack": "ocsdf.attacks.search",
        "SteepPairs": "ocsdf.attacks.pairs",
        "art_attack": "ocsdf.attacks.adapters",
        "attacked_auroc": "ocsdf.attacks.gradient_descent",
        "foolbox_attack": "ocsdf.attacks.adapters",
        "pgd": "ocsdf.attacks.gradient_descent",
        "random_search": "ocsdf.attacks.black_box",
        "steepest_pairs": "ocsdf.attacks.pairs",
    },
)
