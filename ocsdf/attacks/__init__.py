"""What an attacker reaches: l2 PGD, steepest pairs, and the attacks of foolbox and ART."""

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
        "steepest_pairs": "ocsdf.attacks.pairs",
    },
)
