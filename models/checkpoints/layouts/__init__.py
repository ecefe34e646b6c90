"""Names and shapes of every architecture's parameters, without torch; one module per family."""
