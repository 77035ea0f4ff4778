"""What no attack can do to an alarm: silence it, or raise a false one."""

from ocsdf.decisions.checks import check_shift, lowered, raised
from ocsdf.utils.checks import check_vector


def no_masking(scores, threshold, shift):
    r"""Tell which rows raise an alarm that no attack can silence.

    .. math:: f(x) + \sigma < t

    where a row is an alarm if its score is below the threshold t, and :math:`\sigma` is the most
    that an attack of radius :math:`\epsilon` adds to a score: :math:`L \epsilon` and rounding.
    Where the alarm itself is certified (it asks for :math:`f(x') + L r < t`, so that no attack of
    radius r raises it falsely), :math:`\sigma = L (\epsilon + r)`.

    Parameters
    ----------
    scores : array-like of shape (m,)
        Scores before the attack, high for normal rows.
    threshold : float
    shift : float or array-like of shape (m,)

    Returns
    -------
    ndarray of shape (m,), bool
        The mean over anomalies is a detection rate that no attack can push lower.

    Examples
    --------
    >>> from ocsdf.decisions import no_masking
    >>> no_masking([-0.2, -0.6, -1.0], threshold=0.0, shift=0.5)
    array([False,  True,  True])
    """
    scores = check_vector("scores", scores, least=0)
    return raised(scores, check_shift(shift, len(scores))) < threshold


def no_false_alarm(scores, threshold, shift):
    r"""Tell which rows raise no alarm, whatever an attack does to them.

    .. math:: f(x) - \sigma \ge t

    Parameters
    ----------
    scores : array-like of shape (m,)
        Scores before the attack, high for normal rows.
    threshold : float
        A row is an alarm where its score is below.
    shift : float or array-like of shape (m,)
        The most that an attack, and rounding, take from a score.

    Returns
    -------
    ndarray of shape (m,), bool
        1 minus the mean over normal rows is a false-alarm rate that no attack can push higher.

    Examples
    --------
    >>> from ocsdf.decisions import no_false_alarm
    >>> no_false_alarm([0.2, 0.6, 1.0], threshold=0.0, shift=0.5)
    array([False,  True,  True])
    """
    scores = check_vector("scores", scores, least=0)
    return lowered(scores, check_shift(shift, len(scores))) >= threshold
