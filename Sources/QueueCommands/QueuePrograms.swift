import CommandKit

/// The programs of queues.
package let queuePrograms: [any Verb.Type] = [QueueCommand.self]
