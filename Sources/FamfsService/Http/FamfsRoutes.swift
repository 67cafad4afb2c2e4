import Glibc
import Serving

extension HttpRoutes {
  /// What a daemon answers for its mount.
  init(_ mount: ServedMount) {
    let setLevel: Handler = { body in mount.setLogLevel(body) }
    self.init([
      "/pid": ["GET": { _ in .text("pid: \(getpid())\n") }],
      "/status": ["GET": { _ in .text(mount.status.line + "\n", type: HttpAnswer.json) }],
      "/metrics": ["GET": { _ in .text(Metrics.text(mount), type: PrometheusText.type) }],
      "/icache_stats": ["GET": { _ in .text(mount.lookups, type: HttpAnswer.yaml) }],
      "/icache_dump": ["GET": { _ in .stream(NodeDump(mount.volume), type: HttpAnswer.yaml) }],
      "/log_level": ["GET": { _ in mount.logLevel }, "POST": setLevel, "PUT": setLevel],
    ])
  }
}
