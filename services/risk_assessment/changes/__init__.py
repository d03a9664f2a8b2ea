"""Changes: how often each portfolio's debtors and holds were changed, and what is kept until they change again."""
