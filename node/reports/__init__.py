"""Figures and the work of people at one node: what its vault and final state say, put before `contracts.reports`."""
