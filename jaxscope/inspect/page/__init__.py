"""The page: whatever has names, or two of them compared, as one HTML file that needs no network."""
