import Testing

@testable import Serving

/// Who is let in to a daemon.
struct AdmissionTests {
  private let root: UInt32 = 0
  private let user: UInt32 = 1000

  /// So many connections of a user, which ask something if that is wanted.
  private func fill(_ admission: inout Admission, _ numbers: Range<UInt64>, user: UInt32, asking: Bool) {
    for number in numbers {
      let (isRefused, evicted) = admission.enter(number, user: user)
      #expect(!isRefused && evicted == nil)
      if asking { admission.note(asking: number) }
    }
  }

  @Test("one user cannot take all: root is let in, and so is the next when one has gone")
  func share() {
    var admission = Admission()
    let share = UInt64(Admission.share)
    fill(&admission, 0..<share, user: user, asking: true)
    #expect(admission.enter(share, user: user) == (true, nil))
    fill(&admission, 1000..<1000 + UInt64(Admission.most) - share, user: root, asking: true)
    #expect(admission.enter(2000, user: root) == (true, nil))
    admission.leave(7)
    #expect(admission.enter(2001, user: user) == (false, nil))
  }

  @Test("connections that have asked nothing make room, the oldest first; a user's own only, unless root asks")
  func idle() {
    var admission = Admission()
    let share = UInt64(Admission.share)
    fill(&admission, 0..<share, user: user, asking: false)
    admission.note(asking: 0)
    #expect(admission.enter(5000, user: user) == (false, 1))
    fill(&admission, 1000..<1000 + UInt64(Admission.most) - share, user: root, asking: false)
    #expect(admission.enter(5001, user: user) == (false, 2))
    #expect(admission.enter(5002, user: root) == (false, 3))
    #expect(admission.seats.count == Admission.most)
    // One of another user stays, however old it is.
    var mixed = Admission()
    fill(&mixed, 0..<10, user: user + 1, asking: false)
    fill(&mixed, 10..<10 + share, user: user, asking: false)
    #expect(mixed.enter(5000, user: user) == (false, 10))
  }

  @Test("however many come, a bounded number is kept")
  func bounded() {
    var admission = Admission()
    fill(&admission, 0..<UInt64(Admission.most), user: root, asking: true)
    for number in 1000..<1000 + UInt64(Admission.mostRefused) {
      #expect(admission.enter(number, user: root) == (true, nil))
    }
    #expect(admission.enter(3000, user: root) == (true, 1000))
    #expect(admission.seats.count == Admission.most + Admission.mostRefused)
  }
}
