"""What clean networks score, and so how often a probe would raise a false alarm."""
