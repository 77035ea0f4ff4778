"""Python in a process of its own that has neither TensorFlow nor Keras."""

import subprocess
import sys

_WITHOUT = "import sys; sys.modules |= dict.fromkeys(['tensorflow', 'keras', 'deel'])\n"


def load_without_tensorflow(path, code):
    """Load a detector from a file and run code on it; return what was printed."""
    load = "from ocsdf import OCSDF; detector = OCSDF.load(sys.argv[1])\n"
    command = [sys.executable, "-W", "ignore", "-c", _WITHOUT + load + code, str(path)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.stderr == ""
    return answer.stdout
