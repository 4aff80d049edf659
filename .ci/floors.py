"""Print the kernel floors that this machine has, the one in use by default first.

A floor that the processor could run and that cannot be had is an error, not a floor less to test.
"""

import os
import pathlib
import subprocess
import sys

NEEDS = {
    "numpy": set(),
    "baseline": set(),
    "avx2": {"avx2", "fma"},
    "avx512": {"avx512f", "avx512bw", "avx512dq", "avx512vl"},
}
ASK = "import crossent; i = crossent.build_info(); print(i['kernels'], i['isa'])"


def answer(floor: str | None) -> str | None:
    """Return what build_info() says with this floor forced, or None where it cannot be had."""
    environment = {k: v for k, v in os.environ.items() if k != "CROSSENT_KERNELS"}
    if floor is not None:
        environment["CROSSENT_KERNELS"] = floor
    asked = subprocess.run(
        [sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() if asked.returncode == 0 else None


def processor_flags() -> set[str]:
    """Return what the processor says it can do (empty where Linux does not tell)."""
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((set(line.split()) for line in lines if line.startswith("flags")), set())


def main() -> str | None:
    """Print the floors; return the complaint where one is missing."""
    default = answer(None)
    if default is None:
        return "import crossent fails; install it first (make test)"
    answers = {floor: answer(floor) for floor in NEEDS}
    if default.startswith("native"):
        flags = processor_flags()
        for floor, needs in NEEDS.items():
            if needs <= flags and answers[floor] is None:
                return (
                    f"this processor has {floor}, but CROSSENT_KERNELS={floor} cannot be imported"
                )
    floors = [floor for floor, said in answers.items() if said is not None]
    print(*sorted(floors, key=lambda floor: answers[floor] != default))
    return None


if __name__ == "__main__":
    sys.exit(main())
