"""A STAMP session-sender and a session-reflector whose packets scapy builds and parses.

    peer.py sender ADDRESS PORT [--ttl N] [--key FILE]
        For each line on stdin, a JSON object of fields, sends a packet with these and prints the
        fields of its reply and when it came.
    peer.py reflector ADDRESS [--up N,N…] [--down N,N…] [--stateless] [--key FILE]
        Prints its port, then the fields of each packet that comes, and when. Of these, counted from
        1, the ones of --up are as if they had never come, and the answers to the ones of --down as if
        they had been lost. Ends on SIGINT.

Plain packets are those of scapy.contrib.stamp. It has no authenticated ones: they are laid out here,
after RFC 8762 figures 4 and 6 and RFC 8972 figures 3 and 4, of scapy's fields.
"""

import argparse
import hashlib
import hmac
import json
import signal
import socket
import sys
import time

from scapy.contrib.stamp import (
    ErrorEstimate,
    STAMPSessionReflectorTestUnauthenticated,
    STAMPSessionSenderTestUnauthenticated,
    STAMPTestTLV,
)
from scapy.fields import (
    ByteField,
    IntField,
    NBytesField,
    PacketField,
    PacketListField,
    ShortField,
    StrFixedLenField,
)
from scapy.layers.ntp import TimeStampField
from scapy.packet import Packet
from scapy.utils import EDecimal

PATIENCE = 20
COVERED = 96  # bytes that the HMAC covers; it stands behind them


def estimate(name):
    return PacketField(name, ErrorEstimate(), ErrorEstimate)


class SenderAuthenticated(Packet):
    fields_desc = [
        IntField("seq", 0),
        NBytesField("mbz0", 0, 12),
        TimeStampField("ts", 0),
        estimate("err_estimate"),
        ShortField("ssid", 0),
        NBytesField("mbz", 0, 68),
        StrFixedLenField("hmac", b"", 16),
        PacketListField("tlv_objects", [], STAMPTestTLV),
    ]


class ReflectorAuthenticated(Packet):
    fields_desc = [
        IntField("seq", 0),
        NBytesField("mbz0", 0, 12),
        TimeStampField("ts", 0),
        estimate("err_estimate"),
        ShortField("ssid", 0),
        NBytesField("mbz1", 0, 4),
        TimeStampField("ts_rx", 0),
        NBytesField("mbz2", 0, 8),
        IntField("seq_sender", 0),
        NBytesField("mbz3", 0, 12),
        TimeStampField("ts_sender", 0),
        estimate("err_estimate_sender"),
        NBytesField("mbz4", 0, 6),
        ByteField("ttl_sender", 0),
        NBytesField("mbz5", 0, 15),
        StrFixedLenField("hmac", b"", 16),
        PacketListField("tlv_objects", [], STAMPTestTLV),
    ]


def now():
    """NTP time as scapy takes it, without the rounding of a float."""
    return EDecimal(time.time_ns()) / 10**9 + 2208988800


def ntp(field, value):
    """NTP time as the 64 bits that scapy makes of it."""
    return TimeStampField(field, 0).any2i(None, value)


class Form:
    """The plain packets, or with a key the authenticated ones."""

    def __init__(self, path):
        self.key = open(path, "rb").read() if path else None
        self.sender = SenderAuthenticated if path else STAMPSessionSenderTestUnauthenticated
        self.reflector = ReflectorAuthenticated if path else STAMPSessionReflectorTestUnauthenticated

    def digest(self, packet):
        return hmac.new(self.key, packet[:COVERED], hashlib.sha256).digest()[:16]

    def built(self, packet):
        if self.key:
            packet.hmac = self.digest(bytes(packet))
        return bytes(packet)

    def told(self, layer, data):
        """What `data` says, read as a packet of `layer`: integers, and bytes in hex."""
        packet = layer(data)
        fields = {"bytes": len(data)}
        for name, value in packet.fields.items():
            if isinstance(value, ErrorEstimate):
                value = [value.S, value.Z, value.scale, value.multiplier]
            elif name == "tlv_objects":
                # What is no whole TLV stands here as scapy's Raw.
                value = [
                    [int(it.flags), it.type, it.len, it.value.hex()]
                    if isinstance(it, STAMPTestTLV)
                    else bytes(it).hex()
                    for it in value
                ]
            elif isinstance(value, bytes):
                value = value.hex()
            fields[name] = value
        if self.key:
            fields["authentic"] = hmac.compare_digest(self.digest(data), packet.hmac)
        return packet, fields


def open_socket(address):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.socket(family, socket.SOCK_DGRAM)


def say(fields):
    print(json.dumps(fields), flush=True)


def sender(args, form):
    family, asker = open_socket(args.address)
    asker.settimeout(PATIENCE)
    if family == socket.AF_INET6:
        asker.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, args.ttl)
    else:
        asker.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, args.ttl)
    asker.connect((args.address, args.port))
    for line in sys.stdin:
        fields = json.loads(line)
        fields["err_estimate"] = ErrorEstimate(**fields["err_estimate"])
        fields["tlv_objects"] = [
            STAMPTestTLV(flags=flags, type=kind, len=length, value=bytes.fromhex(value))
            for flags, kind, length, value in fields["tlv_objects"]
        ]
        left = now()
        asker.send(form.built(form.sender(ts=left, **fields)))
        data = asker.recv(65536)
        came = now()
        _, told = form.told(form.reflector, data)
        say({**told, "left": ntp("left", left), "came": ntp("came", came)})


def reflector(args, form):
    _, service = open_socket(args.address)
    service.bind((args.address, 0))
    print(service.getsockname()[1], flush=True)
    count = reached = 0
    while True:
        data, peer = service.recvfrom(65536)
        came = now()
        count += 1
        asked, told = form.told(form.sender, data)
        say({**told, "came": ntp("came", came)})
        if count in args.up:
            continue
        own = asked.seq if args.stateless else reached
        reached += 1
        if count in args.down:
            continue
        answer = form.reflector(
            seq=own,
            ts_rx=came,
            ts=now(),
            ssid=asked.ssid,
            seq_sender=asked.seq,
            err_estimate_sender=asked.err_estimate,
            ttl_sender=64,
        )
        # As it stands in the packet: scapy's own form of it is cut to nanoseconds.
        answer.fields["ts_sender"] = asked.fields["ts"]
        service.sendto(form.built(answer), peer)


def numbers(text):
    return [int(number) for number in text.split(",")]


def main():
    parser = argparse.ArgumentParser()
    roles = parser.add_subparsers(required=True)
    for run in (sender, reflector):
        role = roles.add_parser(run.__name__)
        role.set_defaults(run=run)
        role.add_argument("address")
        role.add_argument("--key")
        if run is sender:
            role.add_argument("port", type=int)
            role.add_argument("--ttl", type=int, default=64)
        else:
            role.add_argument("--up", type=numbers, default=[])
            role.add_argument("--down", type=numbers, default=[])
            role.add_argument("--stateless", action="store_true")
    args = parser.parse_args()
    # Python leaves it ignored where its parent ignored it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        args.run(args, Form(args.key))
    except KeyboardInterrupt:
        pass


main()
