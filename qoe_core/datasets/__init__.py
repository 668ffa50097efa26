"""Released data sets as Sessions: one reader per release, nothing else knows a file format."""
