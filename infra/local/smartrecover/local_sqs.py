"""The local SQS: moto's server, without its log line for every request, which would drown what the services say.

Moto counts its whole queue for every message, and looks at its clock twice for each message counted. Its clock goes by
way of two dates; the one put in its place reads the same time at once.
"""

import logging
import sys
import time

from moto.server import main
from moto.sqs import models

if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    vars(models)["unix_time_millis"] = lambda: time.time() * 1_000
    main(sys.argv[1:])
