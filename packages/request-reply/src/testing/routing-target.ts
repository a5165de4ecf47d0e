import type { ReplyRouting } from '../routing/routing.ts'
import type { Transport } from '../transport/transport.ts'
import type { TestRunner } from './runner.ts'

/** What the routing contract is told of the routing under test. */
export interface RoutingTarget {
  /** What the tests are told to. */
  readonly runner: TestRunner
  /**
   * The routing under test, or several of one requester.
   *
   * @param unique makes its topics this test's own: to be a part of their names
   * @param ordinal numbers the instances of a test, from 0: for a routing whose instances must be told which of them they
   * are. A number that comes again in a test means the same instance, started again.
   */
  routing(unique: string, ordinal: number): ReplyRouting | readonly ReplyRouting[]
  /** A transport of a process of its own. The contract closes it. */
  connect(): Promise<Transport>
  /** What the replier's side sends with, for a routing whose replies come another way; default: the transport itself. */
  replying?(transport: Transport): Transport
}
