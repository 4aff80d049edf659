"""Right after an install: where a C++ compiler exists, the native kernels must be what was built.

The build falls back to the NumPy kernels when compiling fails, which is right for users without a
compiler and would hide a broken build from everybody else.
"""

import os
import shutil
import sys

import crossent


def compiler() -> str | None:
    """Return the C++ compiler that a build would use: CXX where it is set, else the usual names."""
    if os.environ.get("CXX"):
        return shutil.which(os.environ["CXX"].split()[0])
    return next(filter(None, map(shutil.which, ("c++", "g++", "clang++"))), None)


def main() -> str | None:
    """Print what was built; return the complaint if it is not what should have been built."""
    info = crossent.build_info()
    print("crossent:", ", ".join(f"{name} {value}" for name, value in info.items()))
    found = compiler()
    if info["kernels"] == "native" or os.environ.get("CROSSENT_KERNELS") == "numpy":
        return None
    if found is None:
        print("no C++ compiler found: the NumPy kernels are used, slower and otherwise the same")
        return None
    return (
        f"a C++ compiler exists ({found}), but the native kernels were not built: compiling them "
        "failed.\nSee why: .venv/bin/python -m pip install --verbose --editable ."
    )


if __name__ == "__main__":
    sys.exit(main())
