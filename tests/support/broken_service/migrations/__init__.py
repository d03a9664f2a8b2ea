OWN_TABLE = "finished"
