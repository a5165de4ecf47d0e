import { randomBytes } from 'node:crypto'
import { startEmbeddedKafka } from '@milena/embedded-kafka'
import { Admin } from '@platformatic/kafka'
import { findLeader } from '../../tools/kafka/inspect.ts'
import { waitFor } from './wait-for.ts'

export interface TopicOptions {
  /** Default 1. */
  partitions?: number
  /** By Apache Kafka's names, such as `{ 'retention.ms': '60000' }`. */
  configs?: Readonly<Record<string, string>>
}

/** The brokers that an end-to-end test runs on, and the topics that it owns there. */
export interface TestCluster extends AsyncDisposable {
  /** `host:port` of each. */
  readonly brokers: string[]
  /** Apache Kafka by KAFKA_BROKERS, or an embedded broker of this cluster object's own. */
  readonly kind: 'kafka' | 'embedded'
  /** Creates a topic whose name begins with this and is nobody else's, known to every broker; it is removed at close. */
  createTopic(prefix: string, options?: TopicOptions): Promise<string>
  /** Has this topic removed at close, too: for one that is made by what is tested. */
  own(topic: string): void
  /** Removes the topics it owns and stops the broker if it started one. */
  close(): Promise<void>
}

/** A name for a topic or group that no other test and no other run uses. */
export function uniqueName(prefix: string): string {
  return `${prefix}-${randomBytes(5).toString('hex')}`
}

/**
 * Opens what an end-to-end test runs on: the cluster of `KAFKA_BROKERS=host:port,…` when that is set, else an
 * embedded broker on a free port. To be closed in an `after` hook, or the test file does not end.
 */
export async function openTestCluster(): Promise<TestCluster> {
  const named = (process.env['KAFKA_BROKERS'] ?? '').split(',').filter((broker) => broker !== '')
  const embedded = named.length > 0 ? undefined : await startEmbeddedKafka()
  const brokers = embedded?.brokers.slice() ?? named
  const topics = new Set<string>()

  const close = async (): Promise<void> => {
    // An embedded broker takes its topics with it.
    const left = embedded ? [] : [...topics]
    topics.clear()
    try {
      if (left.length > 0) await removeTopics(brokers, left)
    } finally {
      await embedded?.close()
    }
  }
  return {
    brokers,
    kind: embedded ? 'embedded' : 'kafka',
    createTopic: async (prefix, options = {}) => {
      const name = uniqueName(prefix)
      topics.add(name)
      await withAdmin(brokers, async (admin) => createTopic(admin, name, options))
      await waitUntilKnown(brokers, name, options.partitions ?? 1)
      return name
    },
    own: (topic) => void topics.add(topic),
    close,
    [Symbol.asyncDispose]: close,
  }
}

async function createTopic(
  admin: Admin,
  name: string,
  { partitions = 1, configs = {} }: TopicOptions,
): Promise<void> {
  await admin.createTopics({
    topics: [name],
    partitions,
    replicas: -1, // as many as the cluster's default says
    configs: Object.entries(configs).map(([key, value]) => ({ name: key, value })),
  })
}

/** A broker learns of a new topic a moment after the controller has made it. */
async function waitUntilKnown(brokers: readonly string[], topic: string, partitions: number): Promise<void> {
  const places = brokers.flatMap((broker) =>
    Array.from({ length: partitions }, (_, partition) => ({ broker, partition })),
  )
  for (const { broker, partition } of places) {
    await waitFor(async () => (await findLeader(broker, topic, partition)) !== undefined, {
      what: `${broker} to know the leader of ${topic}, partition ${partition}`,
    })
  }
}

/** Those that are there. */
export async function removeTopics(brokers: string[], topics: readonly string[]): Promise<void> {
  await withAdmin(brokers, async (admin) => {
    const existing = new Set(await admin.listTopics({ includeInternals: false }))
    const left = topics.filter((topic) => existing.has(topic))
    if (left.length > 0) await admin.deleteTopics({ topics: left })
  })
}

async function withAdmin(brokers: string[], use: (admin: Admin) => Promise<void>): Promise<void> {
  const admin = new Admin({ clientId: 'milena-test', bootstrapBrokers: brokers })
  try {
    await use(admin)
  } finally {
    await admin.close()
  }
}
