"""The tutorial's UDP client: asks for a message, sends it, waits for the reply, and again.

Usage: client.py [PORT]    (7000 unless given; ends at the end of its input)
"""

import socket
import sys

SERVER = ("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 7000)

client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

while True:
    try:
        message = input("please input message: ")
    except EOFError:
        break
    print(f"sendto {SERVER}: {message}")
    client.sendto(message.encode(), SERVER)
    data, address = client.recvfrom(1024)
    print(f"recvfrom {address}: {data.decode()}")
