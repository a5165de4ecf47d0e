import assert from 'node:assert/strict'
import { after, afterEach, before, describe, mock, test } from 'node:test'
import { startEmbeddedKafka, type EmbeddedKafka } from '@milena/embedded-kafka'
import { OptionsError } from '../../src/errors.ts'
import { offsetFetchApi } from '../../src/transport/kafka/protocol/offset-fetch.ts'
import { openKafka } from '../../src/transport/kafka/kafka-transport.ts'
import type { GroupMembership, Transport } from '../../src/transport/transport.ts'
import { Conditions, MemberLog } from '../../src/testing/collector.ts'

let broker: EmbeddedKafka
const transports: Transport[] = []

before(async () => {
  broker = await startEmbeddedKafka()
})

afterEach(async () => {
  mock.restoreAll()
  await Promise.all(transports.splice(0).map((one) => one.close()))
})

after(() => broker.close())

async function connect(): Promise<Transport> {
  const transport = await openKafka({ brokers: broker.brokers })
  transports.push(transport)
  return transport
}

const send = async (
  transport: Transport,
  topic: string,
  partition: number,
  ...values: string[]
): Promise<void> => {
  for (const value of values)
    await transport.send({ topic, partition, key: null, value: Buffer.from(value), headers: [] })
}

const committed = async (transport: Transport, groupId: string, topic: string): Promise<[number, number][]> =>
  (await transport.readCommittedOffsets(groupId, [topic])).map(({ partition, offset }) => [partition, offset])

describe('a group member', () => {
  test('is told every problem of its options at once', async () => {
    const transport = await connect()
    const member = new MemberLog('m')
    const joining = transport.join(
      member.options({
        groupId: '',
        topics: [],
        sessionTimeout: 1_000,
        heartbeatInterval: 900,
        drainTimeout: -1,
      }),
    )
    await assert.rejects(joining, (error: OptionsError) => {
      assert.ok(error instanceof OptionsError)
      assert.deepEqual(
        error.problems.map((problem) => problem.split(' ')[0]),
        ['groupId', 'topics', 'drainTimeout', 'heartbeatInterval'],
      )
      return true
    })
  })

  test('does not set the group back with a commit left over from before it lost the partition (trap N5)', async () => {
    const [topic, groupId] = ['left-over', 'left-over']
    broker.createTopic({ name: topic, partitions: 1 })
    const [first, second] = [await connect(), await connect()]
    await send(first, topic, 0, ...Array.from({ length: 10 }, (_, index) => String(index)))
    const before = await first.join(new MemberLog('before').options({ groupId, topics: [topic] }))
    await before.commit([{ topic, partition: 0, offset: 8 }])
    await before.close()
    const member = new MemberLog('now')
    const now = await second.join(member.options({ groupId, topics: [topic] }))
    await member.count(2)
    await assert.rejects(now.commit([{ topic, partition: 0, offset: 3 }]), { code: 'MILENA_COMMIT_FENCED' })
    assert.deepEqual(await committed(second, groupId, topic), [[0, 8]])
    await now.commit([{ topic, partition: 0, offset: 10 }])
    assert.deepEqual(await committed(second, groupId, topic), [[0, 10]])
  })

  test('does not commit what it read of a topic that was deleted and created again since', async () => {
    const [topic, groupId] = ['made-anew', 'made-anew']
    broker.createTopic({ name: topic, partitions: 1 })
    const transport = await connect()
    const member = new MemberLog('m')
    const membership = await transport.join(member.options({ groupId, topics: [topic] }))
    await send(transport, topic, 0, '0', '1', '2', '3')
    await member.count(4)
    broker.deleteTopic(topic)
    broker.createTopic({ name: topic, partitions: 1 })
    await send(await connect(), topic, 0, 'new')
    await member.count(5)
    await assert.rejects(membership.commit([{ topic, partition: 0, offset: 4 }]), {
      code: 'MILENA_COMMIT_FENCED',
    })
    await membership.commit([{ topic, partition: 0, offset: 1 }])
    assert.deepEqual(await committed(transport, groupId, topic), [[0, 1]])
  })

  test('from the latest: its successor misses nothing that came before the first commit (trap 5)', async () => {
    const [topic, groupId] = ['from-latest', 'from-latest']
    broker.createTopic({ name: topic, partitions: 2 })
    const [first, second] = [await connect(), await connect()]
    await send(second, topic, 0, 'before')
    const a = new MemberLog('a')
    const membership = await first.join(a.options({ groupId, topics: [topic], from: 'latest' }))
    // Its start is committed once it reads: only then a successor can know it.
    for (;;) if ((await committed(second, groupId, topic)).length === 2) break
    await membership.close()
    await send(second, topic, 0, 'between')
    const b = new MemberLog('b')
    await second.join(b.options({ groupId, topics: [topic], from: 'latest' }))
    await b.count(1)
    assert.deepEqual(b.values, ['between'])
  })

  test('waits for a committed offset that a transaction is about to change, instead of beginning without it', async () => {
    const [topic, groupId] = ['unstable', 'unstable']
    broker.createTopic({ name: topic, partitions: 1 })
    const transport = await connect()
    await send(transport, topic, 0, '0', '1', '2')
    await transport.writeCommittedOffsets(groupId, [{ topic, partition: 0, offset: 2, metadata: '' }])
    const asked: boolean[] = []
    let stable = false
    const original = { ...offsetFetchApi }
    mock.method(offsetFetchApi, 'write', (...[to, request, version]: Parameters<typeof original.write>) => {
      asked.push(request.requireStable)
      original.write(to, request, version)
    })
    mock.method(offsetFetchApi, 'read', (...[from, version]: Parameters<typeof original.read>) => {
      const answer = original.read(from, version)!
      // UNSTABLE_OFFSET_COMMIT, which a broker answers only to those who ask for what is stable.
      const unstable = answer.offsets.map((one) => ({ ...one, errorCode: 88, offset: -1 }))
      return stable ? answer : { ...answer, offsets: unstable }
    })
    const member = new MemberLog('m')
    const membership = await transport.join(member.options({ groupId, topics: [topic] }))
    assert.ok(asked.length > 0 && asked.every(Boolean))
    // What it says is of an earlier time that the partition was held: it could set the group back.
    await assert.rejects(membership.commit([{ topic, partition: 0, offset: 1 }]), {
      code: 'MILENA_COMMIT_FENCED',
      message: /has read nothing of it since it was assigned/,
    })
    stable = true
    await member.count(1)
    assert.deepEqual(member.values, ['2'])
  })

  test('goes on when the application throws where it must not, and tells it', async () => {
    const [topic, groupId] = ['throws', 'throws']
    broker.createTopic({ name: topic, partitions: 1 })
    const transport = await connect()
    const member = new MemberLog('m')
    const options = member.options({ groupId, topics: [topic] })
    let calls = 0
    await transport.join({
      ...options,
      onRecords(records) {
        options.onRecords(records)
        if (++calls === 1) throw new Error('a mistake')
      },
      onRevoked: () => {
        throw new Error('another')
      },
    })
    await send(transport, topic, 0, '1', '2')
    await member.count(2)
    await transport.close()
    assert.deepEqual(
      member.errors.map(({ message }) => message),
      ['a mistake', 'another'],
    )
  })

  test('that is closed twice, or while it joins, ends all the same and leaves no connection', async () => {
    const [topic, groupId] = ['closes', 'closes']
    broker.createTopic({ name: topic, partitions: 1 })
    const conditions = new Conditions()
    const [first, second] = [await connect(), await connect()]
    const a = new MemberLog('a', conditions)
    const never = Promise.withResolvers<void>()
    a.beforeRelease = () => never.promise
    const membership = await first.join(a.options({ groupId, topics: [topic], drainTimeout: 60_000 }))
    await a.holds(1)
    // The second one waits in its SyncGroup or heartbeats while the first drains.
    const joining = second.join(new MemberLog('b', conditions).options({ groupId, topics: [topic] }))
    const joined = joining.then(
      (it: GroupMembership) => it.close(),
      () => undefined,
    )
    await Promise.all([second.close(), joined])
    never.resolve()
    await Promise.all([membership.close(), membership.close()])
    await first.close()
    await conditions.until('the broker has no connection left', () => {
      setImmediate(() => conditions.changed())
      return broker.stats().connections === 0
    })
  })
})
