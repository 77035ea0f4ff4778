"""What went wrong in training, and what to change."""

_COLLAPSED = 1e-3


def diagnose(scores, negative_scores, diverged):
    """Say what went wrong in training, if anything did."""
    messages = []
    if diverged:
        messages.append(
            "Training diverged: the loss or a weight is not finite, and the network of the epoch "
            "before was kept. Lower learning_rate."
        )
    if scores.std() < _COLLAPSED:
        messages.append(
            f"Training collapsed: scores of the training rows are all alike (standard deviation "
            f"{scores.std():.1e}). Lower hinge_weight or margin, or raise epochs."
        )
    if negative_scores.mean() > scores.mean():
        messages.append(
            f"Random points score above the data ({negative_scores.mean():.3g} against "
            f"{scores.mean():.3g} on average). Raise epochs or margin, or standardize the data."
        )
    return messages
