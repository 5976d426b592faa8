"""Hands a bound datagram socket to a program, as a service manager does (sd_listen_fds(3)).

activate.py ADDRESS PORT NAME PROGRAM ARGS...
"""

import os
import socket
import sys

address, port, name, program = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:]
family = socket.AF_INET6 if ":" in address else socket.AF_INET
given = socket.socket(family, socket.SOCK_DGRAM)
given.bind((address, port))
if given.fileno() != 3:
    os.dup2(given.fileno(), 3)
os.set_inheritable(3, True)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()), LISTEN_FDNAMES=name)
os.execv(program[0], program)
