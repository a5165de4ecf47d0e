/**
 * What every transport must do. The in-memory adapter and the Kafka adapter, on the embedded broker and on Apache Kafka,
 * all pass it.
 */
import { describeClosing } from './transport-contract/closing.ts'
import { describeGroups } from './transport-contract/groups.ts'
import { describeJoining } from './transport-contract/joining.ts'
import { describePositions } from './transport-contract/positions.ts'
import { describeRebalancing } from './transport-contract/rebalancing.ts'
import { describeCommittedOffsets, describeTopics } from './transport-contract/topics.ts'
import { describeSending } from './transport-contract/sending.ts'
import { describeTails } from './transport-contract/tails.ts'
import { openBench, type TransportTarget } from './transport-contract/bench.ts'

export type { TransportEnvironment, TransportTarget } from './transport-contract/bench.ts'

/**
 * Tells a test runner the tests that every `Transport` must pass. To be called at the top of a test file, or in a `describe`.
 * A test waits up to 90 s for what must come, and takes much less when it does.
 *
 * @param name for the title: which transport, and on what
 */
export function describeTransportContract(name: string, target: TransportTarget): void {
  target.runner.describe(`transport contract: ${name}`, () => {
    const bench = openBench(target)
    describeSending(bench)
    describeTails(bench)
    describeGroups(bench)
    describePositions(bench)
    describeJoining(bench)
    describeRebalancing(bench)
    describeTopics(bench)
    describeCommittedOffsets(bench)
    describeClosing(bench)
  })
}
