"""A report as JUnit XML and as one HTML page."""

from __future__ import annotations

from html import escape
from xml.etree import ElementTree

from ._report import ABSENT, FAILED, NOT_JUDGED, Finding, Report


def junit(report: Report) -> str:
    """One test case a property; notes are passed cases with their text as output."""
    findings = report.findings
    skipped = [finding for finding in findings if finding.status in (ABSENT, NOT_JUDGED)]
    suite = ElementTree.Element(
        "testsuite",
        name=f"crossent verify {report.name}",
        tests=str(len(findings)),
        failures=str(len(report.failed)),
        errors="0",
        skipped=str(len(skipped)),
    )
    for finding in findings:
        case = ElementTree.SubElement(
            suite, "testcase", classname=f"{report.name}.{report.kind}", name=finding.name
        )
        if finding.status == FAILED:
            failure = ElementTree.SubElement(case, "failure", message=_clean(finding.message))
            failure.text = _clean("\n".join(finding.program))
        elif finding in skipped:
            ElementTree.SubElement(case, "skipped", message=_clean(finding.message))
        elif not finding.passed:
            lines = "\n".join((f"note: {finding.message}", *finding.program))
            ElementTree.SubElement(case, "system-out").text = _clean(lines)
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _clean(text: str) -> str:
    """What XML can hold."""
    return "".join(letter for letter in text if letter >= " " or letter in "\n\t")


_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .35rem .6rem;
  border-top: 1px solid #8886; }
pre { overflow-x: auto; font-size: .85rem; margin: .3rem 0; padding: .5rem; background: #8882; }
.failed { color: #c62828; font-weight: bold; }
.noted { color: #b26a00; }
.passed { color: #2e7d32; }
"""


def page(report: Report) -> str:
    """One self-contained page: nothing is fetched, nothing runs."""
    rows = "\n".join(_row(finding) for finding in report.findings)
    errors = ""
    if report.errors:
        errors = f"<p>Worst errors in ulp: {escape(report.figures())}.</p>"
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(report.name)}, judged</title><style>{_STYLE}</style></head>
<body><h1>{escape(report.name)}</h1>
<p>{escape(report.headline())}.</p>{errors}
<table><thead><tr><th>property</th><th>finding</th><th></th></tr></thead>
<tbody>
{rows}
</tbody></table></body></html>
"""


def _row(finding: Finding) -> str:
    told = escape(finding.message or finding.demand)
    program = escape("\n".join(finding.program))
    lines = f"<pre>{program}</pre>" if program else ""
    status = escape(finding.status)
    name = finding.status.replace(" ", "-")
    return (
        f'<tr><td title="{escape(finding.demand)}">{escape(finding.name)}</td>'
        f'<td class="{name}">{status}</td><td>{told}{lines}</td></tr>'
    )
