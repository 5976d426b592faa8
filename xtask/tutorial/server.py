"""The tutorial's UDP echo server: one socket, recvfrom, print, sendto, for ever.

Usage: server.py [PORT]    (7000 unless given)
"""

import socket
import sys

HOST = "0.0.0.0"
PORT = int(sys.argv[1]) if len(sys.argv) > 1 else 7000

server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind((HOST, PORT))

print(f"server start at: {HOST}:{server.getsockname()[1]}")
print("wait for connection...")

while True:
    data, address = server.recvfrom(1024)
    print(f"recvfrom {address}: {data.decode()}")
    server.sendto(("echo " + data.decode()).encode(), address)
