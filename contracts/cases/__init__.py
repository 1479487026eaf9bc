"""From documents to a case, and from a result to what is committed. Pure: no clock, chance, disk or log."""
