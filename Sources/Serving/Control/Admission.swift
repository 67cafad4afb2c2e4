/// Which connections a daemon keeps: a bounded number, of which one user cannot take all. A state machine without I/O.
///
/// A command asks at once when it has connected, so a connection that has asked nothing is the first to go where room is
/// needed. Where all have asked something, the next is let in only to be told so.
package struct Admission {
  /// The most connections that are served.
  package static let most = 512
  /// The most of them that are of one user; root may have all.
  package static let share = 384
  /// The most that are let in to be refused.
  package static let mostRefused = 64

  /// One connection.
  package struct Seat: Equatable {
    package let number: UInt64
    package let user: UInt32
    package let isRefused: Bool
    package var hasAsked = false
  }

  /// All connections, the oldest first.
  package private(set) var seats: [Seat] = []

  package init() {}

  /// Lets a connection in.
  /// - Returns: whether it is to be refused when it asks, and which other one has to go for it.
  package mutating func enter(_ number: UInt64, user: UInt32) -> (isRefused: Bool, evicted: UInt64?) {
    precondition(!seats.contains { $0.number == number }, "a connection has one seat")
    let served = seats.filter { !$0.isRefused }
    let isCrowded = served.count >= Admission.most
    let hasShare = user != 0 && served.count { $0.user == user } >= Admission.share
    var (isRefused, evicted): (Bool, UInt64?) = (false, nil)
    if isCrowded || hasShare {
      // Root may send anybody away that has asked nothing, others only their own.
      evicted = served.first { !$0.hasAsked && ($0.user == user || user == 0) }?.number
      isRefused = evicted == nil
      let refused = seats.filter { $0.isRefused }
      if isRefused && refused.count >= Admission.mostRefused { evicted = refused[0].number }
    }
    if let evicted { leave(evicted) }
    seats.append(Seat(number: number, user: user, isRefused: isRefused))
    return (isRefused, evicted)
  }

  /// Notes that a connection has asked something.
  package mutating func note(asking number: UInt64) {
    guard let place = seats.firstIndex(where: { $0.number == number }) else {
      preconditionFailure("a connection without a seat asks")
    }
    seats[place].hasAsked = true
  }

  /// Notes that a connection has ended.
  package mutating func leave(_ number: UInt64) { seats.removeAll { $0.number == number } }
}
