"""Numbers as the messages write them."""

import pytest

from covscan.rules.words import number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.30712, "0.307"),
        (-1.2345, "-1.23"),
        (73.46, "73.5"),
        (9350445.0, "9,350,000"),
        (-1234.6, "-1,235"),
        (99999.0, "100,000"),
        (1.25e8, "1.25e+08"),
    ],
)
def test_a_number_has_three_significant_digits_however_large(value, text):
    assert number(value) == text
