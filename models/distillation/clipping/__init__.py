"""The clipped teacher: bound what a teacher's channels can say, and learn from the rest."""
