import ControlChannel
import Erofs
import Platform

extension MessageWriter {
  package mutating func put(_ view: View) {
    put(view.area)
    for number in [view.offset, view.size, view.files, view.directories, view.entries] { put(number) }
  }
}

extension MessageReader {
  package mutating func view() throws(Errno) -> View {
    View(
      area: try text(), offset: try number(), size: try number(), files: try number(), directories: try number(),
      entries: try number())
  }
}
