"""Reports of the measurements: the table, the JSON document, the plot."""
