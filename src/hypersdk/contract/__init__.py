"""What goes over the wire between the daemon and its clients: records and the table of routes.

The server builds its routes from this table, the client finds its calls in it, and the OpenAPI
document is made of it. Nothing here does anything.
"""
