import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import type { GroupOptions, Transport } from '../../transport/transport.ts'
import { wordsOf } from '../../words.ts'
import { Conditions, MemberLog } from '../collector.ts'
import { numbers, sendAll, type Bench } from './bench.ts'

const closed = { code: 'MILENA_CLOSED' }

/** So long that only a leave explains that somebody else has everything within the time that a test waits. */
const timeouts = { sessionTimeout: 300_000, rebalanceTimeout: 300_000 }

export function describeJoining(bench: Bench): void {
  const { describe, it } = bench
  describe('joining', () => {
    it('is refused by a signal that has fired before, and nothing is asked', async () => {
      const transport = await bench.connect()
      const member = new MemberLog('member')
      const options = member.options({ groupId: bench.freshName('group'), topics: [await bench.topic(1)] })
      await assert.rejects(transport.join({ ...options, signal: AbortSignal.abort() }), closed)
      assert.deepEqual(member.events, [])
    })

    it('is ended by its signal at any moment, and leaves nothing in the group', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(3)
      const groupId = bench.freshName('group')
      const outcomes = new Set<string>()
      for (const delay of delays(outcomes)) {
        const stop = new AbortController()
        const options = new MemberLog(`stopped after ${delay} ms`).options({ groupId, topics: [topic] })
        const joining = joinAndLeave(transport, { ...options, ...timeouts, signal: stop.signal })
        await sleep(delay)
        stop.abort()
        outcomes.add(await joining)
      }
      assert.ok(outcomes.has('ended'))
      const heir = new MemberLog('heir')
      await joinsAlone(transport, heir, heir.options({ groupId, topics: [topic], ...timeouts }), 3)
    })

    it('is ended while it waits for others, who go on at once', async () => {
      const conditions = new Conditions()
      const topic = await bench.topic(2)
      const groupId = bench.freshName('group')
      const [a, b, c] = [
        new MemberLog('a', conditions),
        new MemberLog('b', conditions),
        new MemberLog('c', conditions),
      ]
      const [first, second, third] = await Promise.all([bench.connect(), bench.connect(), bench.connect()])
      const drained = Promise.withResolvers<void>()
      a.beforeRelease = () => drained.promise
      const options = { groupId, topics: [topic], ...timeouts, drainTimeout: 60_000 }
      await first.join(a.options(options))
      await a.holds(2)
      const stop = new AbortController()
      const joining = joinAndLeave(second, { ...b.options(options), signal: stop.signal })
      await conditions.until('a is asked for a partition', () => a.held.size === 1)
      // Another one, who waits in the rebalance that the first has caused.
      const other = third.join(c.options(options))
      stop.abort()
      drained.resolve()
      await joining
      await other
      await Promise.all([a.holds(1), c.holds(1)])
      assert.deepEqual(
        [...a.events, ...b.events, ...c.events].filter((event) => event.startsWith('!')),
        [],
      )
    })

    it('is ended by closing the transport, and leaves nothing in the group', async () => {
      const topic = await bench.topic(2)
      const groupId = bench.freshName('group')
      const outcomes = new Set<string>()
      for (const delay of delays(outcomes)) {
        const transport = await bench.connect()
        const options = new MemberLog('stopped').options({ groupId, topics: [topic], ...timeouts })
        const joining = joinAndLeave(transport, options)
        await sleep(delay)
        await transport.close()
        outcomes.add(await joining)
      }
      const heir = new MemberLog('heir')
      const options = heir.options({ groupId, topics: [topic], ...timeouts })
      await joinsAlone(await bench.connect(), heir, options, 2)
    })

    it('is over once it has joined: its signal does nothing any more', async () => {
      const transport = await bench.connect()
      const topic = await bench.topic(1)
      const stop = new AbortController()
      const member = new MemberLog('member')
      const options = member.options({
        groupId: bench.freshName('group'),
        topics: [topic],
        signal: stop.signal,
      })
      await transport.join(options)
      stop.abort()
      await sendAll(transport, topic, numbers(0, 5), 0)
      await member.count(5)
      assert.deepEqual(member.events, [`+${topic}/0`])
    })
  })
}

/** Milliseconds after which a join is ended: from before the first question to after the last answer, wherever that is. */
function* delays(outcomes: ReadonlySet<string>): Generator<number> {
  for (let delay = 0; !outcomes.has('joined'); delay += Math.max(1, Math.ceil(delay / 3))) {
    assert.ok(delay < 30_000, 'nobody could join any more: somebody who is gone is waited for')
    yield delay
  }
}

/** It has everything as soon as it has joined: nobody else is waited for, who may be gone. */
export async function joinsAlone(
  transport: Transport,
  member: MemberLog,
  options: GroupOptions,
  partitions: number,
): Promise<void> {
  const joining = transport.join(options)
  joining.catch(() => undefined)
  // A ghost would be waited for until the test gives up, not until the rebalance does.
  await member.holds(partitions)
  await joining
}

/** Joins; a membership that comes of it all the same is closed. */
async function joinAndLeave(transport: Transport, options: GroupOptions): Promise<'joined' | 'ended'> {
  try {
    await (await transport.join(options)).close()
    return 'joined'
  } catch (error) {
    assert.equal((error as { code?: string }).code, 'MILENA_CLOSED', wordsOf(error))
    return 'ended'
  }
}
