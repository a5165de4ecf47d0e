/** What the tests of one file share that break a cluster of three brokers: it, a transport on it, and its mending. */
import { after, afterEach, before } from 'node:test'
import { openKafka } from '../../packages/request-reply/src/transport/kafka/kafka-transport.ts'
import type { TopicSpec, Transport } from '../../packages/request-reply/src/transport/transport.ts'
import { startKafka, type KafkaCluster } from '../../tools/kafka/cluster.ts'
import { awaitReady } from '../../tools/kafka/ready.ts'
import { waitFor } from '../support/wait-for.ts'

export interface FaultyCluster {
  /** Three brokers, whole again before each test. */
  readonly kafka: KafkaCluster
  /** Of the test's own process; it outlives the tests. */
  readonly transport: Transport
  /** A transport that is closed after the test. */
  connect(brokers?: readonly string[]): Promise<Transport>
  /** Closes this after the test, the last one first. */
  closeLater(close: () => Promise<unknown>): void
  createTopic(topic: TopicSpec): Promise<void>
}

/**
 * To be called once, beside the tests of a file: adds the hooks that start, mend and stop the cluster.
 *
 * @param configs Brokers' settings. By default an election takes 5 s after a broker's death; Kafka's own default, 9 s,
 *   shows nothing more of what reads and writes meanwhile.
 */
export function useFaultyCluster(
  configs: Readonly<Record<string, string>> = { 'broker.session.timeout.ms': '5000' },
): FaultyCluster {
  let kafka: KafkaCluster | undefined
  let transport: Transport | undefined
  const open: (() => Promise<unknown>)[] = []

  before(async () => {
    kafka = await startKafka({ brokers: 3, configs })
    transport = await openKafka({ brokers: kafka.brokers })
  })
  afterEach(async () => {
    for (const close of open.splice(0).toReversed()) await close()
    await mendCluster(kafka!)
  })
  after(async () => {
    await transport?.close()
    await kafka?.close()
  })

  return {
    get kafka() {
      return kafka!
    },
    get transport() {
      return transport!
    },
    async connect(brokers = kafka!.brokers) {
      const opened = await openKafka({ brokers })
      open.push(() => opened.close())
      return opened
    },
    closeLater: (close) => void open.push(close),
    async createTopic(topic) {
      // Brokers that all woke up together are put out and let in again one by one: until then replicas have no place.
      await waitFor(() => transport!.createTopics([topic]).then(() => true), {
        what: `topic ${topic.name} to be made`,
        timeout: 120_000,
      })
    },
  }
}

/** Wakes what was stopped, starts what was killed, and resolves when every broker is back in the cluster. */
export async function mendCluster(kafka: KafkaCluster): Promise<void> {
  for (const node of kafka.nodes) {
    await node.kill('SIGCONT')
    if (!node.running) await node.restart()
  }
  await awaitReady(kafka.nodes)
}
