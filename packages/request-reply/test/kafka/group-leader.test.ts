import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { JoinAnswer } from '../../src/transport/kafka/group/coordinator-requests.ts'
import { GroupLeader } from '../../src/transport/kafka/group/leader.ts'
import type { Metadata } from '../../src/transport/kafka/cluster/metadata.ts'
import { writeSubscription } from '../../src/transport/kafka/protocol/consumer-protocol.ts'

const partitions = [{}, {}]
const metadata = {
  watch: () => () => {},
  refresh: async () => undefined,
  topic: () => ({ missing: false, partitions }),
} as unknown as Metadata
const held = partitions.map((_, partition) => ({ topic: 't', partition }))
const holder = { memberId: 'a', metadata: writeSubscription({ topics: ['t'], owned: held, generation: 1 }) }
const other = { memberId: 'b', metadata: writeSubscription({ topics: ['t'], owned: [], generation: -1 }) }

test('a leader has partitions that were to move shared out anew when nobody joins for them', async () => {
  const leader = new GroupLeader(metadata)
  const soon = (): string | undefined => leader.changed(performance.now() + 10_000)
  const share = (answer: Partial<JoinAnswer>) => leader.share(answer as JoinAnswer)

  const shares = await share({ members: [holder, other] })
  assert.equal(shares.length, 2)
  assert.equal(leader.changed(performance.now()), undefined, 'their holder has time to let go of them')
  assert.match(soon()!, /may be nobody’s/)

  await share({ members: [holder] })
  assert.equal(soon(), undefined, 'all are somebody’s')
  assert.deepEqual(await share({ members: [holder], skipAssignment: true }), [], 'the assignment stands')
  assert.match(soon()!, /may be nobody’s/, 'what the leader before had withheld is not known')
  leader.follow()
  assert.equal(soon(), undefined)
})
