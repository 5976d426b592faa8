"""Tries to take a UDP port from another user's server: thief.py ADDRESS PORT OPTIONS.

OPTIONS are the letters of what is set before the bind: A (SO_REUSEADDR), P (SO_REUSEPORT), or -.
Says "bound", then for each line on stdin how many datagrams came by then; or "refused" and ends.
"""

import socket
import sys

address, port, options = sys.argv[1], int(sys.argv[2]), sys.argv[3]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
thief = socket.socket(family, socket.SOCK_DGRAM)
if "A" in options:
    thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
if "P" in options:
    thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
try:
    thief.bind((address, port))
except OSError as error:
    print("refused:", error, flush=True)
    sys.exit(0)
print("bound", flush=True)
thief.setblocking(False)
stolen = 0
for _ in sys.stdin:
    try:
        while True:
            thief.recv(65536)
            stolen += 1
    except BlockingIOError:
        print("stolen", stolen, flush=True)
