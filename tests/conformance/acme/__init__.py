"""A driver of somebody else, as small as one can be: instances are files in a folder.

`test_testing` installs it as a package of its own and runs its test file.
"""
