"""Load and figures for `claimnode bench network`: a client of real nodes, never a part of one."""
