"""The HTTP interface of one node. Import the modules; this file stays empty of imports, so that reading a token
file does not pull in a web framework."""
