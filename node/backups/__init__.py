"""One node's folder as one file, and a folder again: without anything that a second host could vote with."""
