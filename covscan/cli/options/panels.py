"""The headings that help puts options under."""

MODEL, DATA, MEASUREMENT, EVIDENCE, OUTPUT = "Model", "Sample data", "Measurement", "Evidence", "Output"
COMPUTING, WATCHING = "Computing", "Watching"
NORMALIZATION, VERDICT, BASELINE = "Normalization", "Verdict", "Baseline"
