"""One debtor: rank, score, reasons, history, decisions and holds."""
