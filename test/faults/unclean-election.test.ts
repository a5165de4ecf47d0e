/** An unclean leader election on Apache Kafka: what a new leader never had is told as gone, and its log is read from there. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeTopics } from '../../tools/kafka/inspect.ts'
import { waitFor } from '../support/wait-for.ts'
import { useFaultyCluster } from './faulty-cluster.ts'

const topic = 'cut'
const cluster = useFaultyCluster({
  'broker.session.timeout.ms': '3000',
  'broker.heartbeat.interval.ms': '500',
  'min.insync.replicas': '1',
  'unclean.leader.election.enable': 'true',
})

test('a log that was cut by an unclean election begins anew where it was cut', async () => {
  const { kafka, transport } = cluster
  await cluster.createTopic({ name: topic, partitions: 1, replicationFactor: 2 })
  const leader = await kafka.leaderOf(topic, 0)
  const send = (value: string): Promise<unknown> =>
    transport.send({ topic, partition: 0, key: null, value: Buffer.from(value), headers: [] })
  const read: [number, string][] = []
  const told: string[] = []
  const errors: string[] = []
  const member = await transport.join({
    groupId: 'readers',
    topics: [topic],
    from: 'earliest',
    onRecords: (records) =>
      read.push(...records.map(({ offset, value }): [number, string] => [offset, String(value)])),
    onRevoked: () => Promise.resolve(),
    onLost: (_, why) => void told.push(why ?? ''),
    onError: ({ message }) => errors.push(message),
  })
  cluster.closeLater(() => member.close())
  for (let n = 0; n < 5; n++) await send(`both have ${n}`)
  // The follower is deaf until it is out of the replicas in sync: what is acknowledged then, only the leader has.
  const replicas = (await describeTopics(leader.address, [topic])).topics[0]!.partitions[0]!.replicaNodes
  const follower = kafka.node(replicas.find((id) => id !== leader.id)!)
  await follower.kill('SIGSTOP')
  for (let n = 0; n < 5; n++) await send(`the leader has ${n}`)
  await waitFor(() => read.length === 10, { what: 'all of it to be read' })
  await leader.kill('SIGKILL')
  await follower.kill('SIGCONT')
  // It is elected once the leader's session is over.
  await waitFor(() => send('the follower leads').then(() => true), {
    what: 'the follower to lead',
    timeout: 120_000,
  })
  await waitFor(() => read.at(-1)?.[1] === 'the follower leads', { what: 'the new leader’s record' })
  const [at] = read.at(-1)!
  // What was on its way to the follower when it went deaf may have reached it: not all of it.
  assert.ok(at >= 5 && at < 10, `the log was cut at ${at}`)
  assert.deepEqual(told, ['log-gone'])
  assert.match(
    errors.find((message) => /were read|was read/.test(message)) ?? '',
    /not in the log any more .*unclean/,
  )
  assert.deepEqual(
    read.slice(0, 10).map(([offset]) => offset),
    [...Array(10).keys()],
  )
  assert.equal(read.length, 11)
})
