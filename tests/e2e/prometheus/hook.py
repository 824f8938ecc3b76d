"""A server that keeps the webhooks that come in."""

import http.server
import json
import threading


class Hook:
    """Listens on `port` of this machine. Paths are `/<who>/<name>`."""

    def __init__(self, port):
        self.url, self.taken, self.lock = f"http://127.0.0.1:{port}", [], threading.Lock()
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                with hook.lock:
                    hook.taken.append((self.path.strip("/"), dict(self.headers.items()), body))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_):
                """Says nothing."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def latest(self, path):
        """The last body for each group that was posted to a path."""
        with self.lock:
            return {body["groupKey"]: body for to, _, body in self.taken if to == path}

    def headers(self, path):
        """The headers of each post to a path."""
        with self.lock:
            return [headers for to, headers, _ in self.taken if to == path]
