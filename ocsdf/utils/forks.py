"""Processes that were forked while TensorFlow was in use: it waits for ever there."""

import gc
import os
import sys

_stuck = False


def check_not_stuck(action):
    """Refuse what would wait for ever for threads that a fork did not copy."""
    if _stuck:
        raise RuntimeError(
            f"{action} needs TensorFlow, which was in use when this process was forked and would "
            "wait here for ever. Do it before forking, or start processes by the method 'spawn'. "
            "Scores, certificates, explanations and the default fit work in forked processes."
        )


def _note_fork():
    """Note TensorFlow's use, and keep what it left: freeing it here crashes, or waits for ever."""
    global _stuck
    contexts = sys.modules.get("tensorflow.python.eager.context")
    context = contexts and contexts.context_safe()
    _stuck = _stuck or bool(context and getattr(context, "_initialized", True))
    if _stuck:
        gc.freeze()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)
