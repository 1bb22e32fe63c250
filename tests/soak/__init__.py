"""Hours in small: does anything grow that should not?"""
