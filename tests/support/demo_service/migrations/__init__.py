OWN_TABLE = "books"
