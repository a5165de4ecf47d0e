/**
 * What every transport must do. The in-memory adapter and the Kafka adapter, on the embedded broker and on Apache Kafka,
 * all pass it.
 */
import { describe } from 'node:test'
import { describeClosing } from './transport-contract/closing.ts'
import { describeGroups } from './transport-contract/groups.ts'
import { describeJoining } from './transport-contract/joining.ts'
import { describePositions } from './transport-contract/positions.ts'
import { describeRebalancing } from './transport-contract/rebalancing.ts'
import { describeNotes, describeTopics } from './transport-contract/topics.ts'
import { describeSending } from './transport-contract/sending.ts'
import { describeTails } from './transport-contract/tails.ts'
import { openBench, type ContractTarget } from './transport-contract/bench.ts'

export type { ContractEnvironment, ContractTarget } from './transport-contract/bench.ts'

export function describeTransportContract(name: string, target: ContractTarget): void {
  describe(`transport contract: ${name}`, () => {
    const bench = openBench(target)
    describeSending(bench)
    describeTails(bench)
    describeGroups(bench)
    describePositions(bench)
    describeJoining(bench)
    describeRebalancing(bench)
    describeTopics(bench)
    describeNotes(bench)
    describeClosing(bench)
  })
}
