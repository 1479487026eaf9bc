"""Products as folders that a product manager keeps: tables, program, worked examples."""
