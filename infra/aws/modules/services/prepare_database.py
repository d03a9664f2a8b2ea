"""Make a service's database and user as its URL names them, and give the user the URL's password. May be repeated.

Runs in the services' image, as the database's master: MASTER_USERNAME, MASTER_PASSWORD, and the URL in the variable
that is named.
"""

import os
import re
import sys

from sqlalchemy import create_engine
from sqlalchemy.engine import make_url

url = make_url(os.environ[sys.argv[1]])
database, user = str(url.database), str(url.username)
if not all(re.fullmatch(r"[a-z][a-z0-9_]{0,30}", name) for name in (database, user)):
    sys.exit("the URL must name a database and a user in small letters, digits and _")
master = url.set(database="", username=os.environ["MASTER_USERNAME"], password=os.environ["MASTER_PASSWORD"])
with create_engine(master, hide_parameters=True, isolation_level="AUTOCOMMIT").connect() as connection:
    for statement, values in (
        (f"CREATE DATABASE IF NOT EXISTS {database} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", ()),
        (f"CREATE USER IF NOT EXISTS '{user}'@'%%' IDENTIFIED BY %s", (url.password,)),
        (f"ALTER USER '{user}'@'%%' IDENTIFIED BY %s", (url.password,)),
        (f"GRANT ALL ON {database}.* TO '{user}'@'%%'", (url.password,)[:0]),
    ):
        connection.exec_driver_sql(statement.replace("%%", "%") if not values else statement, values)
print(f"database {database} is there, and user {user} has the password of the URL")
