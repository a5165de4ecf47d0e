/**
 * For tests of applications: a broker without a network, and what it can be told to do wrong; for reply routings and
 * transports of one's own: the contracts that ours pass.
 */
// oxlint-disable-next-line import/no-unassigned-import -- it says which Node is needed before anything else is loaded
import './node-version.ts'
export { createMemoryJournal, type MemoryJournal } from './journal/memory-journal.ts'
export { describeReplyDelivery, describeRoutingContract } from './testing/routing-contract.ts'
export type { RoutingTarget } from './testing/routing-target.ts'
export type { TestRunner } from './testing/runner.ts'
export {
  describeTransportContract,
  type TransportEnvironment,
  type TransportTarget,
} from './testing/transport-contract.ts'
export { createMemoryBroker, type MemoryBroker, type MemoryBrokerOptions } from './transport/memory/broker.ts'
export type { MemoryFaults, SendFate, SendFault } from './transport/memory/faults.ts'
export type { MemoryTransport, MemoryTransportOptions } from './transport/memory/transport.ts'
