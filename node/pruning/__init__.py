"""Pruning of old block bodies: how far it may go, what is lost by it, and a running node's own."""
