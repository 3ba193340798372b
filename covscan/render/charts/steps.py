"""How many steps the sequential scale has, known without the chart library."""

STEPS = 9
