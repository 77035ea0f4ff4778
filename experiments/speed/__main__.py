"""All benchmarks of speed: ours and its peers in turn, as ratios within one run.

Each benchmark leaves speed_<name>.csv and speed_<name>.png in the output folder; speed.md has what
they say, with a line for each target, met or missed. All of them take about two hours on two cores,
on a machine that does nothing else. Benchmarks that take long go on where they were stopped; remove
their CSV file to measure anew. Other rounds, tables, widths or steps than the default ones need
another --output.
"""

import importlib
import inspect
import traceback

from experiments.common.command import count, keep_committed, make_parser, write_text
from experiments.speed import suite
from experiments.speed.suite import tabulate

# The short ones first.
BENCHMARKS = ("scoring", "steps", "fits", "same_work", "growth", "sooner")
_OPTIONS = ("tables", "width", "max_steps")


def main(arguments=None):
    parser = make_parser(__doc__)
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, default=BENCHMARKS)
    parser.add_argument("--rounds", type=count, help="for all; each has its own default")
    parser.add_argument("--tables", nargs="+", help="for same_work and sooner")
    parser.add_argument("--width", type=count, help="of the networks of same_work and sooner")
    parser.add_argument("--max-steps", type=count, help="of same_work")
    arguments = parser.parse_args(arguments)
    keep_committed(parser, arguments, "rounds", *_OPTIONS)
    texts, verdicts = [], []
    for name in BENCHMARKS:
        render = arguments.render or name not in arguments.only
        if render and not (arguments.output / f"speed_{name}.csv").exists():
            continue
        try:
            text, found = _perform(name, arguments, render)
        except Exception as error:  # the others take hours, and go on
            traceback.print_exc()
            text, found = f"It failed: {error!r}", []
        texts += [f"## {name}\n", f"```\n{text}\n```\n"]
        verdicts += found
    write_text(describe(texts, verdicts), arguments.output, "speed")


def find(name):
    """Return the module of a benchmark."""
    return importlib.import_module(f"experiments.speed.{name}")


def _perform(name, arguments, render):
    benchmark = find(name)
    taken = inspect.signature(benchmark.run).parameters
    given = {option: getattr(arguments, option) for option in _OPTIONS if option in taken}
    options = {option: value for option, value in given.items() if value is not None}
    return suite.perform(benchmark, arguments.rounds, arguments.output, render, **options)


def describe(texts, verdicts):
    """Write the targets and what each benchmark says as Markdown."""
    return "\n".join(
        [
            "# Speed\n",
            "Median [min, max] over rounds. Peers take turns within one run, and what counts are "
            "the ratios; the machine had two cores.\n",
            tabulate(verdicts),
            "",
            *texts,
        ]
    )


if __name__ == "__main__":
    main()
