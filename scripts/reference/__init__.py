"""The generated parts of docs/reference/, made from the program itself.

`make reference` writes them; tests/docs/test_reference.py finds those that are out of date. In a
page they stand between `<!-- NAME: by make reference -->` and `<!-- end -->`, and everything else
in it is written by hand. To change a description, change it in the code.
"""
