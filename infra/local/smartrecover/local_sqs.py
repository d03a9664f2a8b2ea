"""The local SQS: moto's server, without its log line for every request, which would drown what the services say."""

import logging
import sys

from moto.server import main

if __name__ == "__main__":
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    main(sys.argv[1:])
