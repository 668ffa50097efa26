"""The explorer: one session in the browser, on the records that the notebooks read."""
