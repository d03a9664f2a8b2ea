"""CSV files that other systems wrote: what they are, where their header is, their records, and the rows left out."""
