"""A gateway, its clients, its network and its clock in one process, repeatable from one seed.

`python -m tests.simulation --help` has the command; docs/simulation.md explains it.
"""
