import Glibc
import Platform

exit(Program.main((0..<Int(CommandLine.argc)).compactMap { CommandLine.unsafeArgv[$0].map { String(cFileName: $0) } }))
