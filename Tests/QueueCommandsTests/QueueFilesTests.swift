import Glibc
import Platform
import Queue
import Testing

@testable import QueueCommands

/// A queue's two files in a directory that is on no famfs. `IntegrationTests/QueueTests.swift` runs pcq itself.
@Suite struct QueueFilesTests {
  /// A directory that is gone when the test ends.
  private final class Folder {
    let path: String

    init() throws {
      var template = Array("/tmp/weft-queue-XXXXXX".utf8CString)
      path = try template.withUnsafeMutableBufferPointer {
        String(cString: try #require($0.baseAddress.flatMap { mkdtemp($0) }))
      }
    }

    deinit {
      for name in directoryNames(path) { unlink(path + "/" + name) }
      rmdir(path)
    }
  }

  private func make(_ path: String) throws {
    try QueueMaker.make(path, QueueShape(bucketCount: 4, bucketSize: 64), owner: QueueOwner())
  }

  private func refusal(_ body: () throws -> Void) -> String? {
    do { try body() } catch { return "\(error)" }
    return nil
  }

  @Test("both files are made with their sizes, and never over what exists")
  func making() throws {
    let folder = try Folder()
    let (queue, shape) = (folder.path + "/q", try QueueShape(bucketCount: 4, bucketSize: 64))
    try make(queue)
    #expect(Set(directoryNames(folder.path)) == ["q", "q.consumer"])
    #expect(try FileStatus(path: queue).size == shape.fileSize)
    #expect(try FileStatus(path: queue + QueueFiles.suffix).size == QueueShape.consumerFileSize)
    #expect(refusal { try make(queue) }?.contains("exists already") == true)
    unlink(queue)
    #expect(refusal { try make(queue) }?.contains("q.consumer exists already") == true)
    #expect(directoryNames(folder.path) == ["q.consumer"])
  }

  @Test("the files are opened for either end, both or none")
  func opening() throws {
    let folder = try Folder()
    try make(folder.path + "/q")
    let files = QueueFiles(folder.path + "/q")
    #expect(files.path(of: .consumer) == folder.path + "/q.consumer")
    for parts: Set<QueueFiles.Part> in [[.producer], [.consumer], [.producer, .consumer], []] {
      _ = try files.open(writing: parts) { Issue.record("\($0)") }
    }
  }

  @Test("what is missing or is not a queue is named")
  func missing() throws {
    let folder = try Folder()
    let queue = folder.path + "/q"
    func open(_ path: String) -> String? {
      refusal { _ = try QueueFiles(path).open(writing: []) { _ in } }
    }
    #expect(open(queue)?.contains("there is no such queue") == true)
    #expect(open(folder.path)?.contains("no plain file") == true)
    try make(queue)
    unlink(queue + QueueFiles.suffix)
    #expect(open(queue)?.contains("q.consumer, the second of a queue's files, is missing") == true)
  }
}
