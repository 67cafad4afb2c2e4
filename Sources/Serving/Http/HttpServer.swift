import CMicrohttpd
import Glibc
import Platform

/// The daemon's HTTP server on a unix socket beside the control socket: for people with curl, and for monitoring. GNU
/// libmicrohttpd speaks the protocol, on a thread of its own; what is answered stands in `HttpRoutes`.
package final class HttpServer: Sendable {
  /// What the socket is called in the daemon's folder.
  package static let socketName = "sock"
  private static let connections: UInt32 = 128
  /// Seconds after which a connection on which nothing moves is closed.
  private static let patience: UInt32 = 10
  private static let longestBody = 4096

  private let routes: HttpRoutes

  private init(_ routes: HttpRoutes) { self.routes = routes }

  /// Starts the library's server on a listening socket, which the library owns from then on.
  /// - Returns: false when that fails; then the socket may be closed already.
  package typealias Starter = (_ listener: Int32, _ server: UnsafeMutableRawPointer) -> Bool

  private static let library: @Sendable (Int32, UnsafeMutableRawPointer) -> Bool = { listener, server in
    weft_http_start(listener, connections, patience, answerRequest, endRequest, server) != nil
  }

  /// Serves in `folder` for as long as the process lives.
  /// - Throws: a sentence, when it cannot; the library may not be installed.
  package static func start(_ routes: HttpRoutes, in folder: String, by starter: Starter? = nil) throws(SentenceError) {
    guard weft_http_load() else {
      throw SentenceError("there is no HTTP socket, for libmicrohttpd.so.12 is not installed")
    }
    let listener: FileDescriptor
    do { listener = try listeningStream(at: folder + "/" + socketName) } catch {
      throw SentenceError("there is no HTTP socket: \(error)")
    }
    let server = Unmanaged.passRetained(HttpServer(routes))
    let inode = try? listener.status().inode
    if (starter ?? library)(listener.rawValue, server.toOpaque()) {
      _ = listener.release()
      return
    }
    server.release()
    unlink(folder + "/" + socketName)
    // Whether the library has closed the socket depends on where it failed. Its number may be another file's by now.
    let isOpen = (try? listener.status().inode) == inode
    if !isOpen { _ = listener.release() }
    throw SentenceError("there is no HTTP socket: libmicrohttpd does not start")
  }

  /// A request whose body is still coming.
  fileprivate final class Request {
    var body: [UInt8] = []
    var isTooLong = false

    func take(_ piece: UnsafeRawBufferPointer) {
      isTooLong = isTooLong || body.count + piece.count > HttpServer.longestBody
      if !isTooLong { body += piece }
    }
  }

  fileprivate func answer(
    _ connection: OpaquePointer, _ method: String, _ path: String, _ request: Request
  ) -> MHD_Result {
    // Like the control socket: root and the user who mounted it.
    var (pid, user, group) = (Int32(0), UInt32(0), UInt32(0))
    guard weft_http_peer(connection, &pid, &user, &group), user == 0 || user == geteuid() else {
      return send(.text("only root and the user who mounted it may ask\n", status: 403), connection)
    }
    if request.isTooLong { return send(.text("the body is too long\n", status: 413), connection) }
    return send(routes.answer(method, path, body: request.body), connection)
  }

  private func send(_ answer: HttpAnswer, _ connection: OpaquePointer) -> MHD_Result {
    switch answer {
    case .text(let text, let status, let type, let allow):
      let bytes = Array(text.utf8)
      return weft_http_answer(connection, status, type, allow, bytes, bytes.count)
    case .stream(let stream, let type):
      let pieces = Unmanaged.passRetained(Pieces(of: stream))
      return weft_http_stream(connection, 200, type, readPiece, pieces.toOpaque(), endPieces)
    }
  }
}

/// A stream, cut to the room that the library has.
private final class Pieces {
  private let stream: any HttpStream
  private var rest: ArraySlice<UInt8> = []

  init(of stream: any HttpStream) { self.stream = stream }

  func read(into room: UnsafeMutableRawBufferPointer) -> Int {
    if rest.isEmpty {
      guard let piece = stream.next() else { return weft_http_end() }
      rest = piece[...]
    }
    let count = min(rest.count, room.count)
    room.copyBytes(from: rest.prefix(count))
    rest = rest.dropFirst(count)
    return count
  }
}

// MARK: - What the library calls

private func answerRequest(
  _ server: UnsafeMutableRawPointer?, _ connection: OpaquePointer?, _ path: UnsafePointer<CChar>?,
  _ method: UnsafePointer<CChar>?, _ version: UnsafePointer<CChar>?, _ piece: UnsafePointer<CChar>?,
  _ pieceCount: UnsafeMutablePointer<Int>?, _ state: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
) -> MHD_Result {
  guard let server, let connection, let path, let method, let pieceCount, let state else { return .NO }
  guard let open = state.pointee else {  // first the head alone, then the body's pieces, then nothing
    state.pointee = Unmanaged.passRetained(HttpServer.Request()).toOpaque()
    return .YES
  }
  let request = Unmanaged<HttpServer.Request>.fromOpaque(open).takeUnretainedValue()
  if pieceCount.pointee > 0 {
    request.take(UnsafeRawBufferPointer(start: piece, count: pieceCount.pointee))
    pieceCount.pointee = 0
    return .YES
  }
  return Unmanaged<HttpServer>.fromOpaque(server).takeUnretainedValue().answer(
    connection, String(cString: method), String(cString: path), request)
}

private func endRequest(
  _ server: UnsafeMutableRawPointer?, _ connection: OpaquePointer?,
  _ state: UnsafeMutablePointer<UnsafeMutableRawPointer?>?, _ reason: MHD_RequestTerminationCode
) {
  guard let open = state?.pointee else { return }
  state?.pointee = nil
  Unmanaged<HttpServer.Request>.fromOpaque(open).release()
}

private func readPiece(
  _ pieces: UnsafeMutableRawPointer?, _ position: UInt64, _ room: UnsafeMutablePointer<CChar>?, _ size: Int
) -> Int {
  guard let pieces, let room else { return weft_http_end() }
  return Unmanaged<Pieces>.fromOpaque(pieces).takeUnretainedValue().read(
    into: UnsafeMutableRawBufferPointer(start: room, count: size))
}

private func endPieces(_ pieces: UnsafeMutableRawPointer?) {
  guard let pieces else { return }
  Unmanaged<Pieces>.fromOpaque(pieces).release()
}
