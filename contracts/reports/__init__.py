"""Figures over many claims: what was decided, how fast, by whom it was held up; pure, and integers only."""
