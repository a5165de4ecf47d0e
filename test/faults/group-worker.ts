/**
 * A group member in a process of its own, to be killed, stopped and restarted. Reads, "works" for a moment, commits;
 * tells every record and event on standard output, a JSON array a line. Closes when standard input ends, and then ends
 * by itself if nothing is left running.
 *
 * node group-worker.ts '{"brokers": […], "groupId": …, "topic": …, "instanceId": …, "sessionTimeout": …}'
 */
import { openKafka } from '../../packages/request-reply/src/transport/kafka/kafka-transport.ts'
import type { TopicPartition } from '../../packages/request-reply/src/transport/transport.ts'

const settings = JSON.parse(process.argv[2]!) as {
  brokers: string[]
  groupId: string
  topic: string
  instanceId?: string
  sessionTimeout: number
}
const tell = (...line: unknown[]): void => void process.stdout.write(`${JSON.stringify(line)}\n`)
const numbers = (partitions: readonly TopicPartition[]): number[] => partitions.map((one) => one.partition)

const transport = await openKafka({ brokers: settings.brokers })
const next = new Map<number, number>()
/** About to be let go of: what still comes of them is left to whoever has them next. */
const leaving = new Set<number>()
const membership = await transport.join({
  groupId: settings.groupId,
  topics: [settings.topic],
  from: 'earliest',
  groupInstanceId: settings.instanceId,
  sessionTimeout: settings.sessionTimeout,
  heartbeatInterval: 300,
  // So long that what a JoinGroup in vain would cost shows.
  rebalanceTimeout: 60_000,
  onAssigned(partitions) {
    for (const partition of numbers(partitions)) leaving.delete(partition)
    tell('assigned', numbers(partitions))
  },
  onRecords(records) {
    // When they were handed over: this process may be stopped before it has told of them.
    const at = Date.now()
    if (leaving.has(records[0]!.partition)) return
    for (const { partition, offset } of records) {
      tell('record', partition, offset, at)
      next.set(partition, offset + 1)
    }
    commit([...new Set(records.map((one) => one.partition))]).catch((error: { code?: string }) =>
      tell('refused', error.code),
    )
  },
  async onRevoked(partitions) {
    for (const partition of numbers(partitions)) leaving.add(partition)
    await commit(numbers(partitions)).catch((error: { code?: string }) => tell('refused', error.code))
    for (const partition of numbers(partitions)) next.delete(partition)
    tell('revoked', numbers(partitions))
  },
  onLost(partitions) {
    for (const partition of numbers(partitions)) next.delete(partition)
    tell('lost', numbers(partitions))
  },
  onError: (error) => tell('error', (error as { code?: string }).code, error.message),
})
tell('joined')

async function commit(partitions: readonly number[]): Promise<void> {
  const offsets = partitions.flatMap((partition) => {
    const offset = next.get(partition)
    return offset === undefined ? [] : [{ topic: settings.topic, partition, offset }]
  })
  if (offsets.length > 0) await membership.commit(offsets)
}

process.stdin.resume()
process.stdin.once('end', () => {
  transport.close().then(
    () => tell('closed'),
    (error: unknown) => tell('close failed', String(error)),
  )
})
