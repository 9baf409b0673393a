"""A Discord of our own on loopback: real HTTP, real WebSocket, faults under the test's control.

Start with ``server.py``: its docstring shows how a test uses all of this.
"""
