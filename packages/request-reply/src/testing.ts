/** For tests of applications: a broker without a network, and what it can be told to do wrong. */
// oxlint-disable-next-line import/no-unassigned-import -- it says which Node is needed before anything else is loaded
import './node-version.ts'
export { createMemoryJournal, type MemoryJournal } from './journal/memory-journal.ts'
export { createMemoryBroker, type MemoryBroker, type MemoryBrokerOptions } from './transport/memory/broker.ts'
export type { MemoryFaults, SendFate, SendFault } from './transport/memory/faults.ts'
export type { MemoryTransport, MemoryTransportOptions } from './transport/memory/transport.ts'
