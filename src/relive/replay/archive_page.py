"""The page of an archive that an auditor reads: one HTML file without script, picture or address to load."""

from html import escape
from pathlib import Path
from typing import Any, Final

from relive.core.recipe import Recipe
from relive.core.trajectory import Verdict, latest_verdict
from relive.wire.hub import RunDetail

PAGE: Final = "index.html"
_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}
table{border-collapse:collapse;width:100%;margin:.5rem 0}th,td{text-align:left;padding:.25rem .75rem .25rem 0;
border-bottom:1px solid #ddd;vertical-align:top}code,pre{font:13px/1.4 ui-monospace,monospace;
overflow-wrap:anywhere}pre{background:#f4f4f4;padding:.75rem;white-space:pre-wrap}.no{color:#8a1f11}
@media(prefers-color-scheme:dark){body{background:#161616;color:#eee}pre{background:#222}.no{color:#ff8a7a}}
"""
_LEVELS: Final = {
    "bit_exact": "bit-exact: every bit that was compared is the same",
    "within_tolerance": "within tolerance: some bits differ, every metric lies within its limit",
    "diverged": "diverged",
    "unresolved": "unresolved: the replay itself failed",
    "not_comparable": "not comparable",
}


def write_page(root: Path, detail: RunDetail, recipe: Recipe, document: dict[str, Any]) -> None:
    """Write the page of an archive into its folder.

    Args:
        document: What `archive.json` will say, without its members.
    """
    parts = [
        _claim(detail, document),
        _verdict(latest_verdict(detail.verdicts)),
        _inputs(recipe, document),
        _results(detail),
        _unknown(detail, recipe, document),
        _how(detail),
    ]
    name = escape(detail.run.name or detail.run.id)
    head = f'<meta charset="utf-8"><title>{name}</title><style>{_STYLE}</style>'
    text = f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'
    (root / PAGE).write_text(text, encoding="utf-8")


def _claim(detail: RunDetail, document: dict[str, Any]) -> str:
    run = detail.run
    rows = [
        ("Run", f"{run.name} ({run.id})"),
        ("Project", f"{detail.project}, experiment {detail.experiment}"),
        ("Commit", run.commit or "none: it ran outside a repository"),
        ("By", run.actor),
        ("Ended", run.status.value + (f": {run.reason}" if run.reason else "")),
        ("Models", ", ".join(f"{it.model} v{it.version}" for it in detail.versions) or "none registered"),
        ("Written by", f"relive {document['relive']}"),
    ]
    return (
        f"<h1>{escape(run.name or run.id)}</h1><h2>Claim</h2>"
        "<p>This file holds a run with its inputs and results. The claim: the command below, given these "
        f"inputs, gives these results.</p><pre>{escape(document['command'])}</pre>{_table(rows)}"
    )


def _verdict(verdict: Verdict | None) -> str:
    if verdict is None:
        return (
            '<h2>Verdict</h2><p class="no">Nobody has repeated this run on the hub that wrote this file.</p>'
        )
    rows = [("Replayed on", verdict.machine or "not recorded"), ("Reason", verdict.reason)]
    rows += [("Other input", text) for text in verdict.inputs_differ[:20]]
    return f"<h2>Verdict</h2><p><strong>{escape(_LEVELS[verdict.level])}</strong></p>{_table(rows)}"


def _inputs(recipe: Recipe, document: dict[str, Any]) -> str:
    environment = document["environment"]
    rows = [("Code", f"{len(document['code'])} files, manifest {recipe.declared.code.manifest}")]
    for given in document["inputs"]:
        where = "by its digest only" if given["referenced"] else f"{len(given['entries'])} files"
        where = "part of the code" if given["origin"] == "code" else where
        rows.append((f"Data {given['path']}", f"{where}, {given['size_bytes']} bytes, {given['manifest']}"))
    rows.append(
        ("Python", f"{environment['implementation']} {environment['python']} {environment['platform']}")
    )
    rows += [(f"Variable {name}", value) for name, value in sorted(document["env"].items())]
    rows += [(f"Parameter {name}", str(value)) for name, value in sorted(recipe.declared.params.items())]
    wheels = [(f"{it['name']} {it['version']}", f"sha256 {it['sha256']}") for it in environment["packages"]]
    packages = f"<h3>{len(wheels)} packages</h3>{_table(wheels)}" if wheels else ""
    return f"<h2>Inputs</h2>{_table(rows)}{_hardware(recipe)}{packages}"


def _hardware(recipe: Recipe) -> str:
    if recipe.observed is None:
        return ""
    hardware = recipe.observed.hardware
    rows = [
        ("Processor", f"{hardware.cpu_model}, {hardware.cores_allowed} of {hardware.cores} cores"),
        ("Memory", f"{hardware.memory_bytes} bytes"),
        ("System", f"{hardware.os}, kernel {hardware.kernel}, {hardware.libc}"),
        ("GPUs", ", ".join(str(gpu.get("name", "")) for gpu in hardware.gpus) or "none"),
        ("Held by", f"{recipe.observed.isolation}; hermetic: {'yes' if recipe.observed.hermetic else 'no'}"),
    ]
    return f"<h3>Machine</h3>{_table(rows)}"


def _results(detail: RunDetail) -> str:
    metrics = [(it.key, f"{it.last!r} at step {it.last_step}") for it in detail.metrics]
    outs = [(it.path, f"{it.files} files, {it.size_bytes} bytes, {it.manifest}") for it in detail.artifacts]
    return f"<h2>Results</h2>{_table(metrics)}{_table(outs)}"


def _unknown(detail: RunDetail, recipe: Recipe, document: dict[str, Any]) -> str:
    found = [f"It cannot replay itself: {text}." for text in document["lacking"]]
    found += document["record"]["notes"]
    observed = recipe.observed
    if observed is None:
        found.append("Nothing was observed while it ran.")
    else:
        if observed.completeness != "full":
            found.append(
                f"What it opened was recorded as far as “{observed.completeness}” goes, not in full."
            )
        if not observed.hermetic:
            found.append("It was not hermetic: it could read what is not among its inputs.")
        found += (f"Read, but not declared: {it.path} {it.digest}" for it in observed.reads)
        found += (
            f"It connected to {address}: what came from there is not here." for address in observed.addresses
        )
        found += (f"Changed while it ran: {path}" for path in observed.changed)
        found += observed.notes
    code = recipe.declared.code
    found += (f"Not stored: {path} ({why})" for path, why in sorted(code.withheld.items()))
    if recipe.declared.secrets:
        found.append(f"Needs secrets that no record holds: {', '.join(recipe.declared.secrets)}")
    if not any(it.provenance for it in detail.versions):
        found.append("Nothing here is signed: no model was registered of this run.")
    found.append("Firmware, microcode and the C library of the machine are described at most, never kept.")
    items = "".join(f"<li>{escape(text)}</li>" for text in found)
    return f'<h2>What is not known</h2><ul class="no">{items}</ul>'


def _how(detail: RunDetail) -> str:
    keys = (
        "<p>The public keys are in <code>keys/</code>: compare their ids with what the signer publishes.</p>"
    )
    return (
        "<h2>Check it yourself</h2><p>With Python 3.11 or newer, without a network:</p>"
        "<pre>python FILE.zip verify    every byte, every signature\n"
        "python FILE.zip replay    make it again, and judge the copy\n"
        "python FILE.zip lay DIR   code and inputs, to read</pre>"
        f"{keys if any(it.provenance for it in detail.versions) else ''}"
    )


def _table(rows: list[tuple[str, str]]) -> str:
    cells = "".join(
        f"<tr><th>{escape(name)}</th><td><code>{escape(text)}</code></td></tr>" for name, text in rows
    )
    return f"<table>{cells}</table>" if cells else ""
