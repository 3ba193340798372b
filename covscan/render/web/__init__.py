"""The parts of the HTML page: what stands in it as text, and what its script draws from."""
