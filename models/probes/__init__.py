"""What a suspect teacher is asked: margins, triggers, transfer; and what the answers allow to conclude."""
