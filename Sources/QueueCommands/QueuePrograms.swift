import CommandKit

/// The programs of queues.
package let queuePrograms: [any Command.Type] = [PcqCommand.self]
