"""Convert and migrate machines to KVM; and a client of the daemon for programs written for it.

Importing this package imports nothing else: it takes no time and needs no library.
"""
