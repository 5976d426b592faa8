"""Sends Ethernet frames, one a line in hex on stdin, out of the device that is named (packet(7)).

Says "sent" after each, so that whoever writes them knows their order on the cable.
"""

import socket
import sys

link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
link.bind((sys.argv[1], 0))
for line in sys.stdin:
    link.send(bytes.fromhex(line))
    print("sent", flush=True)
