"""The folder of uploads: written by servers of the HTTP API, read and emptied by workers.

Any number of processes may share it. The lock on an upload's record says who may change it, and the
kernel takes it from a process that ends.
"""
