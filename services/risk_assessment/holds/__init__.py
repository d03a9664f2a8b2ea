"""Holds: dated, reasoned stops on debtors and persons."""
