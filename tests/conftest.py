"""What every test shares: reproducible properties, and where the real table lies."""

import os
import pathlib

import pytest
from hypothesis import settings

ROOT = pathlib.Path(__file__).resolve().parents[1]

# A property that fails must fail for everybody; how fast an example runs is no property.
settings.register_profile("here", deadline=None, print_blob=True)
settings.register_profile("ci", deadline=None, derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")


@pytest.fixture(scope="session")
def pendigits_csv() -> pathlib.Path:
    """Return the path of the pendigits table, which is too large for the repository.

    CROSSENT_PENDIGITS names it; without, it is looked for beside the checkout.
    """
    named = os.environ.get("CROSSENT_PENDIGITS")
    path = pathlib.Path(named or ROOT.parent / "shared" / "data" / "pendigits.csv")
    if named and not path.is_file():
        pytest.fail(f"CROSSENT_PENDIGITS names {named}, which is no file")
    if not path.is_file():
        pytest.skip("no pendigits table: CROSSENT_PENDIGITS or ../shared/data/pendigits.csv")
    return path
