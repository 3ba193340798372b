"""A report and a policy give a verdict: budgets, baseline, suppressions."""
