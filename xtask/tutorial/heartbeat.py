"""The tutorial's UDP heartbeat: sends "heartbeat" each second and waits for the reply.

Usage: heartbeat.py [PORT]    (7000 unless given)
"""

import socket
import sys
import time

SERVER = ("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 7000)

client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

while True:
    message = "heartbeat"
    print(f"sendto {SERVER}: {message}")
    client.sendto(message.encode(), SERVER)
    data, address = client.recvfrom(1024)
    print(f"recvfrom {address}: {data.decode()}")
    time.sleep(1)
