"""Running the papers' experiments again, slice by slice, and writing the numbers beside theirs."""
