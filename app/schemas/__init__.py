"""Wire types: what requests may hold and what responses do hold."""
