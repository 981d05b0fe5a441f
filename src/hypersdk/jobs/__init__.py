"""Durable jobs: submitted once, run by whichever worker has room, never lost, never run twice."""
