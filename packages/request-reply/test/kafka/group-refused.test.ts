/** A member that its coordinator gives no place, whatever it asks: how often it asks. */
import assert from 'node:assert/strict'
import { after, afterEach, before, describe, mock, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { startEmbeddedKafka, type EmbeddedKafka } from '@milena/embedded-kafka'
import { MemberLog } from '../../src/testing/collector.ts'
import { GroupCoordinator } from '../../src/transport/kafka/group/coordinator-requests.ts'
import { Pace } from '../../src/transport/kafka/group/pace.ts'
import { openKafka } from '../../src/transport/kafka/kafka-transport.ts'
import { Pauses } from '../../src/transport/kafka/waiting/pauses.ts'

const ILLEGAL_GENERATION = 22
const UNKNOWN_MEMBER = 25
const REBALANCE = 27
const MEMBER_ID_REQUIRED = 79
/** Milliseconds, and how often a member may ask in that time. */
const [TIME, MOST] = [1_000, 20]

let broker: EmbeddedKafka
before(async () => {
  broker = await startEmbeddedKafka()
})
afterEach(() => mock.restoreAll())
after(() => broker.close())

/** JoinGroup and SyncGroup are answered with these codes, JoinGroup without a name with one, until `over`. */
function refuse(
  codes: { readonly join?: number; readonly sync?: number },
  over: () => boolean,
): () => number {
  let asked = 0
  const place = { memberId: 'm', generation: 1, leader: 'm', members: [], leadsAgain: false, leads: false }
  const answer = (code: number): Promise<unknown> => {
    asked++
    return new Promise((resolve) => setImmediate(() => resolve({ ...place, errorCode: code })))
  }
  for (const what of ['join', 'sync'] as const) {
    const original = GroupCoordinator.prototype[what] as (...args: unknown[]) => Promise<unknown>
    mock.method(GroupCoordinator.prototype, what, function (this: GroupCoordinator, ...args: unknown[]) {
      if (over()) return original.apply(this, args)
      return answer(args[0] === '' ? MEMBER_ID_REQUIRED : (codes[what] ?? 0))
    })
  }
  return () => asked
}

describe('a coordinator that gives a member no place is not asked in a tight loop:', () => {
  for (const [index, [what, codes]] of (
    [
      ['it does not know the name that it gave', { join: UNKNOWN_MEMBER }],
      ['it takes the member for one of an old generation', { join: ILLEGAL_GENERATION }],
      ['it is in a rebalance for ever', { join: REBALANCE }],
      ['it gives a name each time', { join: MEMBER_ID_REQUIRED }],
      ['others join whenever the assignment is asked for', { sync: REBALANCE }],
    ] as const
  ).entries()) {
    test(what, async () => {
      const topic = `refused-${index}`
      broker.createTopic({ name: topic, partitions: 1 })
      const transport = await openKafka({ brokers: broker.brokers })
      let isOver = false
      const asked = refuse(codes, () => isOver)
      const member = new MemberLog('m')
      const joining = transport.join(member.options({ groupId: topic, topics: [topic] }))
      joining.catch(() => undefined) // the count tells more
      try {
        await sleep(TIME)
        assert.ok(asked() >= 3 && asked() <= MOST, `asked ${asked()} times in ${TIME} ms`)
        isOver = true
        await joining
        await member.holds(1)
      } finally {
        await transport.close()
      }
    })
  }
})

test('the first try after a setback is at once, the next ones after pauses, until there is a place', async () => {
  const waits = mock.method(Pauses.prototype, 'wait', () => Promise.resolve())
  const pace = new Pace(new AbortController().signal)
  const counts: number[] = []
  for (let round = 0; round < 2; round++) {
    for (let times = 0; times < 3; times++) {
      await pace.setBack()
      counts.push(waits.mock.callCount())
    }
    pace.settled()
  }
  assert.deepEqual(counts, [0, 1, 2, 2, 3, 4])
})

test('a setback’s pause ends when the member is closed', { timeout: 10_000 }, async () => {
  const closing = new AbortController()
  const pace = new Pace(closing.signal)
  closing.abort()
  for (let times = 0; times < 50; times++) await pace.setBack()
})
