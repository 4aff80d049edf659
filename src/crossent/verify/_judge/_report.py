"""What the judge found: a finding a property, and how it is told."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

PASSED, FAILED, NOTED = "passed", "failed", "noted"
ABSENT, NOT_JUDGED = "not applicable", "not judged"
_MARKS = {PASSED: "pass", FAILED: "FAIL", NOTED: "note", ABSENT: "  - ", NOT_JUDGED: "  ? "}


@dataclass(frozen=True)
class Finding:
    """One property of one function.

    `status` is "passed", "failed" (a required property), "noted" (one that is not), "not
    applicable" or "not judged"; `message` says what was wrong, or why nothing was judged. `example`
    is the smallest failing example's name, `program` the three lines that show it, `entry`,
    `expected` and `got` the entry furthest off.
    """

    name: str
    demand: str
    required: bool
    status: str
    message: str = ""
    example: str = ""
    program: tuple[str, ...] = ()
    output: str = ""
    entry: tuple[int, ...] = ()
    expected: float = math.nan
    got: float = math.nan

    @property
    def passed(self) -> bool:
        """Whether nothing was wrong."""
        return self.status not in (FAILED, NOTED)

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON, a number that is not finite as its name."""
        found = {name: getattr(self, name) for name in self.__dataclass_fields__}
        found["property"] = found.pop("name")
        found |= {"program": list(self.program), "entry": list(self.entry)}
        for name in ("expected", "got"):
            found[name] = _plain(found[name])
        return found


def _plain(number: float) -> float | str:
    return number if math.isfinite(number) else str(number)


@dataclass(frozen=True)
class Report:
    """All findings on one function.

    `kind` is what it was judged as and `how` that was found out; `errors` are the worst errors met
    in ordinary and extreme rows, in ulp of the dtype, by output and dtype. `printed` prints it.
    """

    name: str
    kind: str
    how: str
    framework: str
    findings: tuple[Finding, ...]
    errors: dict[tuple[str, str], float] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        """Whether every required property holds."""
        return not self.failed

    @property
    def failed(self) -> tuple[Finding, ...]:
        """The findings that decide against it."""
        return tuple(finding for finding in self.findings if finding.status == FAILED)

    @property
    def notes(self) -> tuple[Finding, ...]:
        """What is wrong and not required."""
        return tuple(finding for finding in self.findings if finding.status == NOTED)

    def __getitem__(self, name: str) -> Finding:
        for finding in self.findings:
            if finding.name == name:
                return finding
        raise KeyError(name)

    def as_dict(self) -> dict[str, Any]:
        """The report as plain values for JSON."""
        return {
            "name": self.name,
            "like": self.kind,
            "how": self.how,
            "framework": self.framework,
            "passed": self.passed,
            "errors_in_ulp": [
                {"output": output, "dtype": dtype, "ulp": _plain(ulp)}
                for (output, dtype), ulp in self.errors.items()
            ],
            "findings": [finding.as_dict() for finding in self.findings],
        }

    def __str__(self) -> str:
        lines = [self.headline(), ""]
        width = max(len(finding.name) for finding in self.findings)
        for finding in self.findings:
            text = finding.message or finding.demand
            lines.append(f"  {_MARKS[finding.status]}  {finding.name:<{width}}  {text}")
            lines += [f"        {line}" for line in finding.program]
        if self.errors:
            lines += ["", "  worst errors in ulp: " + self.figures()]
        return "\n".join(lines)

    def headline(self) -> str:
        """The verdict in one line."""
        failed, noted = len(self.failed), len(self.notes)
        verdict = f"failed {failed} required {'property' if failed == 1 else 'properties'}"
        if self.passed:
            verdict = "passed"
        further = f", {noted} {'note' if noted == 1 else 'notes'}" if noted else ""
        judged = f"judged as {self.kind} ({self.how}), in {self.framework}"
        return f"{self.name}: {verdict}{further}; {judged}"

    def figures(self) -> str:
        """The worst errors in one line."""
        return ", ".join(
            f"{output} {dtype} {ulp:.3g}" for (output, dtype), ulp in self.errors.items()
        )


class Rejected(AssertionError):
    """A function that lacks a required property. `report` is the whole `Report`."""

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report
