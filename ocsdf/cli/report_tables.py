"""What the command `ocsdf report` prints: a summary as tables on the console."""

from ocsdf.cli.console import plain, print_table, say


def print_summary(summary):
    """Print a report's figures as a table, and where the report is."""
    from rich.table import Table

    from ocsdf.utils.html import certified_percent, percent

    share = {
        "oc": "fitted on half of the normal rows, judged on the rest",
        "ad": "trained on the rows it is judged on",
        "unlabelled": "no label: fitted on the rows it scores",
        "model": "judged by a model that was there before",
    }[summary["protocol"]]
    table = Table(
        title=plain(f"{summary['data']}: {share} (seed {summary['seed']})"), title_style="bold"
    )
    labelled = "auroc" in summary
    table.add_column("attack radius\n(scaled l2)", justify="right")
    if labelled:
        table.add_column("certified AUROC\n\\[95 % interval]", justify="right")
    table.add_column("verdicts that\ncannot flip", justify="right")
    if labelled:
        table.add_row("0 (AUROC)", _interval(summary["auroc"], percent), "")
    for row in summary["radii"]:
        certified = [_interval(row["certified_auroc"], certified_percent)] if labelled else []
        verdicts = f"{row['certified_verdicts']:,} of {summary['rows_judged']:,}"
        table.add_row(str(row["radius"]), *certified, verdicts)
    print_table(table)
    if "radii" in summary.get("alarms", {}):
        print_table(_alarm_table(summary["alarms"]))
    if "attack" in summary:
        print_table(_attack_table(summary["attack"]))
    if "comparison" in summary:
        print_table(_comparison_table(summary))
    if "challenge" in summary:
        print_table(_challenge_table(summary))
    say(f"report: {summary['report']}")


def _alarm_table(alarms):
    from rich.table import Table

    from ocsdf.utils.html import certified_percent

    promised = f"{alarms['promised_per_1000']:g} of 1,000"
    table = Table(
        title=f"alarms at alpha = {alarms['alpha']:g}: at most {promised} normal rows are expected "
        f"to raise one ({alarms['calibration_rows']:,} rows calibrate)",
        title_style="bold",
        caption="certified alarm: p <= alpha whatever an attack of that radius did; its false "
        f"alarms stay at most {promised}",
    )
    for column in (
        "attack radius\n(scaled l2)",
        "false alarms per\n1,000, at most",
        "anomalies detected,\nat least",
        "detected by certified\nalarms, at least",
    ):
        table.add_column(column, justify="right")
    for row in alarms["radii"]:
        table.add_row(
            str(row["radius"]) if row["radius"] else "0 (no attack)",
            f"{row['plain_at_most']:.0f}",
            certified_percent(row["plain_detected_at_least"]),
            certified_percent(row["certified_detected_at_least"]),
        )
    return table


def _attack_table(attack):
    from rich.table import Table

    from ocsdf.utils.html import certified_percent, percent

    title = (
        f"under attack: {attack['attacker']}, {attack['steps']} steps from {attack['restarts']} "
        f"starts, on {attack['normal_rows']:,} normal rows and {attack['anomalies']:,} anomalies"
    )
    table = Table(title=title, title_style="bold")
    for column in ("attack radius\n(scaled l2)", "guaranteed\nAUROC", "attacked\nAUROC"):
        table.add_column(column, justify="right")
    table.add_row("0 (AUROC)", *[percent(attack["auroc"])] * 2)
    for row in attack["radii"]:
        bounds = certified_percent(row["certified_auroc"]), percent(row["attacked_auroc"])
        table.add_row(str(row["radius"]), *bounds)
    return table


def _comparison_table(summary):
    from rich.table import Table

    from ocsdf.utils.html import certified_percent, percent

    detectors = summary["comparison"]
    table = Table(title="certified AUROC beside other detectors, same rows", title_style="bold")
    table.add_column("attack radius\n(scaled l2)", justify="right")
    for row in detectors:
        table.add_column(plain(row["detector"]), justify="right")
    table.add_row("0 (AUROC)", *[percent(row["auroc"]) for row in detectors])
    for at, radius in enumerate(summary["radii"]):
        bounds = [row["certified_auroc"] for row in detectors]
        texts = ["none" if bound is None else certified_percent(bound[at]) for bound in bounds]
        table.add_row(str(radius["radius"]), *texts)
    failed = [f"{row['detector']} failed: {row['error']}" for row in detectors if row["error"]]
    if failed:
        table.caption = plain("\n".join(failed))  # a plain text may hold brackets
    return table


def _challenge_table(summary):
    from rich.table import Table

    from ocsdf.utils.html import percent

    challenge = summary["challenge"]
    table = Table(
        title=f"AUROC of all detectors under the same attack: {challenge['queries']} scores a row "
        f"and radius, {challenge['normal_rows']:,} normal rows and {challenge['anomalies']:,} "
        "anomalies",
        title_style="bold",
    )
    table.add_column("attack radius\n(scaled l2)", justify="right")
    for row in challenge["detectors"]:
        table.add_column(f"{plain(row['detector'])}\n{row['attack']}", justify="right")
    table.add_row("0 (AUROC)", *[percent(row["auroc"]) for row in challenge["detectors"]])
    for at, radius in enumerate(summary["radii"]):
        left = [row["attacked_auroc"] for row in challenge["detectors"]]
        texts = ["–" if one is None else percent(one[at]) for one in left]
        table.add_row(str(radius["radius"]), *texts)
    return table


def _interval(triple, as_text):
    from ocsdf.utils.html import percent

    value, lower, upper = triple.values()
    ends = "" if lower is None else f" \\[{percent(lower)}, {percent(upper)}]"
    return as_text(value) + ends
