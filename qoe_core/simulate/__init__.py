"""Simulated sessions: modelled contents, real streaming logic, simulated viewers."""
