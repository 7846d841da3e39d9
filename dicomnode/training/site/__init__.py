"""A site's own cases: their table, their exams and what is trained on them."""
