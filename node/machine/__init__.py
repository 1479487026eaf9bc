"""Claim programs in a process of their own, under limits of memory, CPU and time."""
