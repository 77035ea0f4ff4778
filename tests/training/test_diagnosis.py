"""Each defect has its message, and a sound run none."""

import numpy as np

from ocsdf.training.diagnosis import diagnose


class TestDiagnose:
    def test_nothing_to_say(self):
        assert diagnose(np.array([0.1, 0.4]), np.array([-1.0, -2.0]), diverged=False) == []

    def test_diverged(self):
        (message,) = diagnose(np.array([0.1, 0.4]), np.array([-1.0]), diverged=True)
        assert message.startswith("Training diverged: the loss or a weight is not finite")
        assert message.endswith("Lower learning_rate.")

    def test_collapsed(self):
        (message,) = diagnose(np.array([0.3, 0.3005]), np.array([-1.0]), diverged=False)
        assert message.startswith("Training collapsed: scores of the training rows are all alike")
        assert "(standard deviation 2.5e-04). Lower hinge_weight or margin, or raise" in message
        # Just above 1e-3 is no collapse.
        assert diagnose(np.array([0.0, 0.0021]), np.array([-1.0]), diverged=False) == []

    def test_negatives_above_the_data(self):
        (message,) = diagnose(np.array([0.0, 1.0]), np.array([0.25, 1.75]), diverged=False)
        assert message.startswith("Random points score above the data (1 against 0.5 on average)")
        assert "Raise epochs or margin, or standardize" in message

    def test_both(self):
        messages = diagnose(np.zeros(3), np.ones(2), diverged=False)
        assert ["collapsed" in messages[0], "Random points" in messages[1]] == [True, True]
