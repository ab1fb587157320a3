"""A collector of OTLP: the reference protocol's own services by gRPC, and its twin by HTTP.

    collector.py [GRPC_PORT HTTP_PORT]

Listens on loopback, on free ports unless they are named, and says on the first line which. Then each request
is a line of JSON: how it came, what it is, its headers, its message. Ends when its standard input does.
"""

import base64
import json
import sys
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2, logs_service_pb2_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2, metrics_service_pb2_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

IDS = {"traceId", "spanId", "parentSpanId"}
lock = threading.Lock()


def with_hex_ids(value):
    """Ids as everybody writes them; protobuf's JSON has bytes in Base64."""
    if isinstance(value, list):
        return [with_hex_ids(item) for item in value]
    if isinstance(value, dict):
        return {
            key: base64.b64decode(item).hex() if key in IDS else with_hex_ids(item)
            for key, item in value.items()
        }
    return value


def say(what):
    with lock:
        print(json.dumps(what), flush=True)


def received(by, signal, headers, message):
    say({"by": by, "signal": signal, "headers": headers, "message": with_hex_ids(MessageToDict(message))})


def service(base, signal, answer):
    class Service(base):
        def Export(self, request, context):
            received("grpc", signal, dict(context.invocation_metadata()), request)
            return answer()

    return Service()


SIGNALS = {
    "traces": (trace_service_pb2.ExportTraceServiceRequest, trace_service_pb2.ExportTraceServiceResponse),
    "logs": (logs_service_pb2.ExportLogsServiceRequest, logs_service_pb2.ExportLogsServiceResponse),
    "metrics": (metrics_service_pb2.ExportMetricsServiceRequest, metrics_service_pb2.ExportMetricsServiceResponse),
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        signal = self.path.removeprefix("/v1/")
        is_protobuf = self.headers["content-type"] == "application/x-protobuf"
        if signal not in SIGNALS or not is_protobuf:
            self.send_error(404)
            return
        request, answer = SIGNALS[signal]
        headers = {name.lower(): value for name, value in self.headers.items()}
        received("http", signal, headers, request.FromString(body))
        content = answer().SerializeToString()
        self.send_response(200)
        self.send_header("content-type", "application/x-protobuf")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def main():
    ports = [int(port) for port in sys.argv[1:]] or [0, 0]
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(
        service(trace_service_pb2_grpc.TraceServiceServicer, "traces", SIGNALS["traces"][1]), server)
    logs_service_pb2_grpc.add_LogsServiceServicer_to_server(
        service(logs_service_pb2_grpc.LogsServiceServicer, "logs", SIGNALS["logs"][1]), server)
    metrics_service_pb2_grpc.add_MetricsServiceServicer_to_server(
        service(metrics_service_pb2_grpc.MetricsServiceServicer, "metrics", SIGNALS["metrics"][1]), server)
    by_grpc = server.add_insecure_port(f"127.0.0.1:{ports[0]}")
    server.start()
    web = ThreadingHTTPServer(("127.0.0.1", ports[1]), Handler)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    say({"grpc": by_grpc, "http": web.server_port})
    sys.stdin.read()
    server.stop(0)


main()
