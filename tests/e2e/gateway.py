#!/usr/bin/env python3
"""A router that people's nodes ask for a port: NAT-PMP and UPnP, right or malicious.

gateway.py KIND ADDRESS EXTERNAL   serves on ADDRESS until it is ended, and prints a line for each thing it is asked.
KIND is a name in KINDS below."""

import os
import re
import socket
import struct
import sys
import threading

DEVICE = "urn:schemas-upnp-org:device:InternetGatewayDevice:1"
SERVICE = "urn:schemas-upnp-org:service:WANIPConnection:1"
HTTP_PORT = 5000
CHUNK = b"<a>" * 4096
FLOOD_BYTES = 200000000  # more than the one who reads may keep

# What it does otherwise than a right router with both protocols. "natpmp": False: no such protocol, and so on.
KINDS = {
    "right": {},
    "right_upnp": {"natpmp": None},
    "deaf": {"natpmp": None, "ssdp": None},
    "private_natpmp": {"external": "224.0.0.9", "ssdp": None},
    "private_upnp": {"external": "127.0.0.1", "natpmp": None},
    "words_upnp": {"external": "never mind", "natpmp": None},
    "other_port": {"port": 40404},
    "low_port": {"port": 53, "ssdp": None},
    "no_lease": {"lease": 1, "ssdp": None},
    "for_ever": {"natpmp": None, "noted_lease": 0},
    "taken": {"natpmp": None, "taken": 2},
    "refuses": {"natpmp": None, "taken": 1000},
    "garbage_natpmp": {"natpmp": "garbage", "ssdp": None},
    "garbage_http": {"natpmp": None, "http": "garbage"},
    "hangs_http": {"natpmp": None, "http": "hang"},
    "drips_http": {"natpmp": None, "http": "drip"},
    "megabytes": {"natpmp": None, "http": "megabytes"},
    "endless_xml": {"natpmp": None, "http": "endless"},
    "soap_megabytes": {"natpmp": None, "soap": "megabytes"},
    "soap_elsewhere": {"natpmp": None, "control": "http://127.0.0.1:%d/ctl" % HTTP_PORT},
    "ssdp_thousands": {"natpmp": None, "ssdp": "thousands"},
    "ssdp_for_ever": {"natpmp": None, "ssdp": "for ever"},
    "ssdp_elsewhere": {"natpmp": None, "ssdp": "elsewhere"},
    "ssdp_names": {"natpmp": None, "ssdp": "names"},
}


def say(*words):
    print(*words, flush=True)


class Gateway:
    def __init__(self, kind, address, external):
        self.how = dict({"natpmp": "right", "ssdp": "right", "http": "right", "soap": "right", "port": 0,
                         "lease": 0, "taken": 0, "external": external, "control": "/ctl", "noted_lease": None},
                        **KINDS[kind])
        self.address = address
        self.added = {}

    def serve(self):
        for part in (self.natpmp, self.ssdp, self.http):
            threading.Thread(target=part, daemon=True).start()

    # ---- NAT-PMP

    def natpmp(self):
        if self.how["natpmp"] is None:
            return
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind((self.address, 5351))
        say("natpmp there")
        while True:
            data, peer = s.recvfrom(2048)
            if self.how["natpmp"] == "garbage":
                say("natpmp garbage")
                s.sendto(os.urandom(1 + data[-1] % 30), peer)
                continue
            try:
                ip = socket.inet_aton(self.how["external"])
            except OSError:
                ip = b"\0\0\0\0"
            if data[1] == 0:
                s.sendto(struct.pack(">BBHI4s", 0, 128, 0, 1, ip), peer)
            elif len(data) >= 12:
                inside, outside, lease = struct.unpack_from(">HHI", data, 4)
                granted = min(lease, self.how["lease"] or lease)
                port = self.how["port"] or outside
                say("natpmp %s %d" % ("map" if lease else "unmap", inside), granted)
                s.sendto(struct.pack(">BBHIHHI", 0, data[1] + 128, 0, 1, inside, port if lease else 0, granted),
                         peer)

    # ---- SSDP

    def found(self, url, number=0):
        return ("HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: %s\r\nUSN: uuid:%d::%s\r\nEXT:\r\n"
                "SERVER: a router\r\nLOCATION: %s\r\n\r\n" % (DEVICE, number, DEVICE, url)).encode()

    def ssdp(self):
        how = self.how["ssdp"]
        if how is None:
            return
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("", 1900))
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                     socket.inet_aton("239.255.255.250") + socket.inet_aton(self.address))
        here = "http://%s:%d/" % (self.address, HTTP_PORT)
        say("ssdp there")
        while True:
            data, peer = s.recvfrom(2048)
            if not data.startswith(b"M-SEARCH"):
                continue
            say("search")
            if how == "thousands":
                for i in range(20000):
                    s.sendto(self.found(here + "%d.xml" % i, i), peer)
            elif how == "for ever":
                threading.Thread(target=self.pester, args=(s, peer), daemon=True).start()
            elif how == "elsewhere":
                for url in ("http://127.0.0.1:%d/" % HTTP_PORT, "file:///etc/passwd", "http://%s@127.0.0.1/" %
                            self.address, "http://%s.nip.example/" % self.address, "http://[::1]/"):
                    s.sendto(self.found(url), peer)
            elif how == "names":
                s.sendto(self.found("http://router.example:%d/root.xml" % HTTP_PORT), peer)
            else:
                s.sendto(self.found(here + "root.xml"), peer)

    def pester(self, s, peer):
        ended = threading.Event()
        while True:  # each one has miniupnpc wait anew: what it knows already does not count as time gone by
            s.sendto(self.found("http://192.168.255.1/"), peer)
            ended.wait(0.2)

    # ---- HTTP

    def http(self):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((self.address, HTTP_PORT))
        s.listen(50)
        say("http there")
        while True:
            conn, _ = s.accept()
            threading.Thread(target=self.answer, args=(conn,), daemon=True).start()

    def answer(self, conn):
        try:
            data = b""
            while b"\r\n\r\n" not in data:
                part = conn.recv(65536)
                if not part:
                    return
                data += part
            head, body = data.split(b"\r\n\r\n", 1)
            length = re.search(rb"(?i)content-length: *(\d+)", head)
            while length and len(body) < int(length.group(1)):
                body += conn.recv(65536)
            if head.startswith(b"GET"):
                say("get", head.split(b" ")[1].decode("ascii", "replace"))
                self.send(conn, self.how["http"], self.description())
            else:
                self.send(conn, self.how["soap"], self.soap(body.decode("utf-8", "replace")))
        except OSError:
            pass
        finally:
            conn.close()

    def send(self, conn, how, content):
        start = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nConnection: close\r\n"
        if how == "hang":
            conn.recv(1)
        elif how == "garbage":
            conn.sendall(os.urandom(5000))
        elif how == "drip":
            conn.sendall(start + b"Content-Length: 100000\r\n\r\n")
            pause = threading.Event()
            while True:
                conn.sendall(b"<")
                pause.wait(0.2)
        elif how == "megabytes":
            conn.sendall(start + b"Content-Length: 2000000000\r\n\r\n")
            sent = 0
            try:
                while sent < FLOOD_BYTES:
                    sent += conn.send(CHUNK)
            finally:
                say("sent", sent)
        elif how == "endless":
            conn.sendall(start + b"\r\n" + content[:len(content) // 2])
            sent = 0
            try:
                while sent < FLOOD_BYTES:
                    sent += conn.send(CHUNK)
            finally:
                say("sent", sent)
        else:
            conn.sendall(start + b"Content-Length: %d\r\n\r\n" % len(content) + content)

    def description(self):
        return ("""<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><device>
<deviceType>%s</deviceType><deviceList><device><deviceType>urn:schemas-upnp-org:device:WANDevice:1</deviceType>
<deviceList><device><deviceType>urn:schemas-upnp-org:device:WANConnectionDevice:1</deviceType><serviceList>
<service><serviceType>%s</serviceType><serviceId>urn:upnp-org:serviceId:WANIPConn1</serviceId>
<controlURL>%s</controlURL><eventSubURL>/evt</eventSubURL><SCPDURL>/WANIPCn.xml</SCPDURL></service>
</serviceList></device></deviceList></device></deviceList></device></root>""" % (
            DEVICE, SERVICE, self.how["control"])).encode()

    def soap(self, body):
        action = re.search(r"<(?:\w+:)?(\w+) xmlns:u", body)
        action = action.group(1) if action else "?"
        fields = dict(re.findall(r"<(\w+)>([^<]*)</\1>", body))
        port = fields.get("NewExternalPort")
        say(action, port or "", fields.get("NewLeaseDuration", ""))
        result, error = "", None
        if action == "GetExternalIPAddress":
            result = "<NewExternalIPAddress>%s</NewExternalIPAddress>" % self.how["external"]
        elif action == "AddPortMapping":
            if self.how["taken"] > 0 and port not in self.added:
                self.how["taken"] -= 1
                error = 718
            else:
                self.added[port] = fields
                say("description", fields.get("NewPortMappingDescription"))
        elif action == "DeletePortMapping":
            if self.added.pop(port, None) is None:
                error = 714
        elif action == "GetSpecificPortMappingEntry" and port in self.added:
            f = self.added[port]
            lease = self.how["noted_lease"]
            result = "".join("<%s>%s</%s>" % (k, v, k) for k, v in (
                ("NewInternalPort", f["NewInternalPort"]), ("NewInternalClient", f["NewInternalClient"]),
                ("NewEnabled", 1), ("NewPortMappingDescription", ""),
                ("NewLeaseDuration", f["NewLeaseDuration"] if lease is None else lease)))
        else:
            error = 401
        if error:
            result = ("<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>"
                      "<UPnPError xmlns=\"urn:schemas-upnp-org:control-1-0\"><errorCode>%d</errorCode>"
                      "<errorDescription>no</errorDescription></UPnPError></detail></s:Fault>" % error)
        else:
            result = "<u:%sResponse xmlns:u=\"%s\">%s</u:%sResponse>" % (action, SERVICE, result, action)
        return ("<?xml version=\"1.0\"?><s:Envelope xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\" "
                "s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body>%s</s:Body></s:Envelope>"
                % result).encode()


if __name__ == "__main__":
    Gateway(*sys.argv[1:4]).serve()
    sys.stdin.read()
