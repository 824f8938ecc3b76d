"""A way to the server that can be cut, and be slow: a proxy of TCP connections."""

import contextlib
import socket
import threading
import time


class Way:
    """Takes connections at `port` and goes on with them to `to`, as long as it is not cut."""

    def __init__(self, port, to):
        self.to = to
        self.is_cut, self.bytes_per_second = False, None
        self.open = set()
        self.listener = socket.create_server(("127.0.0.1", port))
        self.url = f"http://127.0.0.1:{port}"
        threading.Thread(target=self.serve, daemon=True).start()

    def close(self):
        self.listener.close()
        self.cut()

    def cut(self):
        """Ends all connections, and takes no other one until `mend`."""
        self.is_cut = True
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def mend(self):
        self.is_cut = False

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                here, _ = self.listener.accept()
                if self.is_cut:
                    here.close()
                    continue
                try:
                    there = socket.create_connection(self.to, timeout=10)
                except OSError:
                    here.close()
                    continue
                there.settimeout(None)
                self.open |= {here, there}
                threading.Thread(target=self.pump, args=(here, there, False), daemon=True).start()
                threading.Thread(target=self.pump, args=(there, here, True), daemon=True).start()

    def pump(self, source, target, is_answer):
        with contextlib.suppress(OSError):
            while True:
                # Little is read at a time where the way is slow, so that the server notices it.
                pace = self.bytes_per_second if is_answer else None
                data = source.recv(max(1, pace // 10) if pace else 65_536)
                if not data:
                    break
                target.sendall(data)
                if pace:
                    time.sleep(len(data) / pace)
        for connection in (source, target):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            self.open.discard(connection)
