"""A peer that speaks UDP services, written from their documents and sharing nothing with ours.

    liar.py SERVICE            answers every request well
    liar.py SERVICE N          answers N requests in each of these ways, one way after the other:
                               late, right, twice, broken behind our identity, with another
                               identity, from another port

It prints the port that it serves on 127.0.0.1, and ends with its stdin.
"""
import hashlib
import hmac
import re
import select
import socket
import struct
import sys
import threading

SECRET = b"testing123"
LATE = 4


def stun(ask, identity, body):
    """RFC 8489: a Binding response, or an error response to a Refresh."""
    method = struct.unpack("!H", ask[:2])[0]
    tid = identity(ask[8:20])
    if method == 1:
        cookie = 0x2112A442
        address = struct.pack("!HHI", 1, 4711 ^ cookie >> 16, 0xC0000201 ^ cookie)
        attribute = struct.pack("!HH", 0x20, len(address)) + address
        kind = 0x0101
    else:
        attribute = struct.pack("!HHI", 9, 4, 0x401)
        kind = 0x0114
    return struct.pack("!HHI", kind, len(attribute), 0x2112A442) + tid + body(attribute)


def sip(ask, identity, body):
    def head(name):
        return re.search(rb"(?im)^" + name + rb":\s*(.*?)\r?$", ask).group(1)

    via = head(b"Via")
    branch = re.search(rb"branch=z9hG4bK(\w+)", via).group(1)
    via = via.replace(branch, identity(branch))
    lines = [b"SIP/2.0 200 OK", b"v: " + via, b"From: " + head(b"From"), b"To: " + head(b"To") + b";tag=1",
             b"i: " + head(b"Call-ID"), b"CSeq: " + head(b"CSeq"), b"Server: liar\x1b[31m"]
    return b"\r\n".join(lines) + body(b"\r\nContent-Length: 0\r\n\r\n")


def quic(ask, identity, body):
    theirs, ours = ask[6:14], ask[15:23]
    return b"\x80\0\0\0\0\x08" + identity(ours) + b"\x08" + theirs + body(struct.pack("!II", 1, 0x6B3343CF))


def snmp(ask, identity, body):
    """v2c: the same with the response's tag, sysUpTime.0 is 226 hundredths."""
    end = ask.index(b"\x05\x00")
    at = ask.index(b"\xa0") + 4
    value = body(b"\x43\x02\x00\xe2")
    out = bytearray(ask[:at] + identity(ask[at : at + 4]) + ask[at + 4 : end])
    out[at - 4] = 0xA2
    for length in (1, at - 3, at + 11, at + 13):
        out[length] += 2
    return bytes(out) + value


def radius(ask, identity, body):
    attributes = body(b"")
    head = b"\x02" + ask[1:2] + struct.pack("!H", 20 + len(attributes))
    digest = hashlib.md5(head + ask[4:20] + attributes + SECRET).digest()
    signed = ask[:22] + bytes(16)
    assert hmac.new(SECRET, signed, "md5").digest() == ask[22:38], "the request's own signature"
    return head + identity(digest) + attributes


def coap(ask, identity, body):
    return b"\x58\x45\x12\x34" + identity(ask[4:12]) + body(b"\xd3\x01\x02\xff\xff\xffhello")


CHALLENGE = b"\x01\x02\x03\x04"


def a2s(ask, identity, body):
    if ask[25:] != CHALLENGE:
        return b"\xff\xff\xff\xffA" + CHALLENGE
    return b"\xff\xff\xff\xff" + body(b"I\x11name\0map\0folder\0game\0\x0f\0\x03\x08\0dl\0\x011.0\0")


def bedrock(ask, identity, body):
    status = b"MCPE;a \x1b[31mworld;408;1.16.20;3;20;1;x;Creative;"
    magic = bytes.fromhex("00ffff00fefefefefdfdfdfd12345678")
    return b"\x1c" + identity(ask[1:9]) + bytes(8) + magic + body(struct.pack("!H", len(status)) + status)


def mumble(ask, identity, body):
    return b"\0\x01\x03\x04" + identity(ask[4:12]) + body(struct.pack("!III", 3, 10, 72000))


def openvpn(ask, identity, body):
    return b"\x40serverid\x01\0\0\0\0" + identity(ask[1:9]) + body(bytes(4))


def ike(ask, identity, body):
    notify = bytes.fromhex("0000000000000000 29202220 00000000 00000024 00000008 00000005")
    return bytes(4) + identity(ask[4:12]) + body(notify)


def dns(ask, identity, body):
    """The identity is the question: other ids are some beat's."""
    end = ask.index(b"\0", 12) + 5
    name = ask[12:13] + identity(ask[13:14]) + ask[14:end]
    answer = bytes.fromhex("c00c 0001 0001 0000012c 0004 c0000207")
    return ask[:2] + b"\x85\x80\0\x01\0\x01\0\0\0\0" + name + body(answer)


def ntp(ask, identity, body):
    """Cut short it is nobody's; broken is one without its time."""
    now = struct.pack("!II", 0xEEB20709, 0)
    sent = now if body(now) == now else bytes(8)
    return b"\x24\x01\x00\xe6" + bytes(8) + b"GPS\0" + bytes(8) + identity(ask[40:48]) + now + sent


def same(identity):
    return identity


def other(identity):
    return identity[:-1] + (b"0" if identity[-1:] != b"0" else b"1") if identity else identity


def broken(body):
    return body[:-8] if len(body) > 8 else b"\xff" * 3


def main():
    make = globals()[sys.argv[1]]
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    server, elsewhere = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    server.bind(("127.0.0.1", 0))
    elsewhere.bind(("127.0.0.1", 0))
    print("port", server.getsockname()[1], flush=True)
    asked = 0
    while True:
        ready, _, _ = select.select([server, sys.stdin], [], [])
        if sys.stdin in ready and not sys.stdin.buffer.raw.read(1):
            return
        if server not in ready:
            continue
        ask, peer = server.recvfrom(65535)
        right = make(ask, same, same)
        if make is a2s and ask[25:] != CHALLENGE or make is openvpn and ask[0] != 0x38:
            # A challenge, or an acknowledgement: no beat's end.
            if make is a2s:
                server.sendto(right, peer)
            continue
        way = asked // count if count else 1
        asked += 1
        if way == 0:
            threading.Timer(LATE, server.sendto, (right, peer)).start()
        elif way == 1:
            server.sendto(right, peer)
        elif way == 2:
            server.sendto(right, peer)
            server.sendto(right, peer)
        elif way == 3:
            server.sendto(make(ask, same, broken), peer)
        elif way == 4:
            server.sendto(make(ask, other, same), peer)
        elif way == 5:
            elsewhere.sendto(right, peer)


main()
