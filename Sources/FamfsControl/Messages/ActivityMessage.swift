import ControlChannel
import Counts
import Platform

// How `MountActivity` and runs of free space travel over the control socket.

extension MessageWriter {
  package mutating func put(_ activity: MountActivity) {
    let staged = activity.staged
    for number in [
      activity.uptime, activity.bytes.read, activity.bytes.written, staged.files, staged.directories, staged.bytes,
      UInt64(activity.operations.count),
    ] { put(number) }
    for operation in activity.operations {
      // No operation has an empty name.
      put(operation.opcode ?? "")
      for number in [operation.requests, operation.errors, operation.latency.sum] { put(number) }
      for count in operation.latency.counts { put(count) }
    }
  }

  package mutating func put(_ runs: [Range<UInt64>]) {
    put(UInt64(runs.count))
    for run in runs {
      put(run.lowerBound)
      put(run.upperBound)
    }
  }
}

extension MessageReader {
  package mutating func activity() throws(Errno) -> MountActivity {
    var activity = MountActivity()
    activity.uptime = try number()
    activity.bytes = ByteCount(read: try number(), written: try number())
    (activity.staged.files, activity.staged.directories) = (try number(), try number())
    activity.staged.bytes = try number()
    let count = try number()
    guard count <= 64 else { throw .protocolError }
    for _ in 0..<count { activity.operations.append(try operation()) }
    return activity
  }

  private mutating func operation() throws(Errno) -> OperationCount {
    let opcode = try text()
    let (requests, errors, sum) = (try number(), try number(), try number())
    var counts: [UInt64] = []
    for _ in 0...LatencyHistogram.boundCount { counts.append(try number()) }
    guard let latency = LatencyHistogram(counts: counts, sum: sum) else { throw .protocolError }
    return OperationCount(opcode: opcode.isEmpty ? nil : opcode, requests: requests, errors: errors, latency: latency)
  }

  package mutating func runs() throws(Errno) -> [Range<UInt64>] {
    let count = try number()
    guard count <= ControlReply.mostRuns else { throw .protocolError }
    var runs: [Range<UInt64>] = []
    for _ in 0..<count {
      let (start, end) = (try number(), try number())
      guard start < end, start >= runs.last?.upperBound ?? 0 else { throw .protocolError }
      runs.append(start..<end)
    }
    return runs
  }
}
