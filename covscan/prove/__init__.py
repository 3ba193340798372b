"""Training a little with and without a normalization, to say what it changes and how sure that is."""
