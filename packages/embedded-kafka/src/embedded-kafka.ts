import { apiHandlers } from './apis.ts'
import { Broker } from './broker.ts'
import type { BrokerNode } from './broker.ts'
import type { Topic } from './log/topics.ts'
import { completeOptions, completeTopic, configMap, invalidOptions } from './options.ts'
import type { EmbeddedKafkaOptions, TopicInput } from './options.ts'
import { BrokerServer } from './server.ts'

/** Figures of a running broker. */
export interface EmbeddedKafkaStats {
  readonly connections: number
  /** Connections that were refused or closed because there were too many. */
  readonly refusedConnections: number
  /** Requests that wait for something, such as fetches without records. */
  readonly parkedRequests: number
  readonly topics: number
  /** Memory that the logs hold, in bytes. */
  readonly logBytes: number
  /** Parts of logs that were dropped, sooner than by their topic's retention, because `maxLogBytes` was near. */
  readonly droppedSegments: number
  /** Times that a producer was refused because `maxLogBytes` was reached. */
  readonly refusedBatches: number
}

/** A broker that is running in this process. */
export interface EmbeddedKafka extends AsyncDisposable {
  /** Host that clients are told. */
  readonly host: string
  /** Port that it listens at. */
  readonly port: number
  /** What a client is given to connect: one `host:port`, as clients are told it. */
  readonly brokers: readonly string[]
  readonly clusterId: string
  /**
   * @throws ProtocolError, whose `codeName` is the protocol's, such as TOPIC_ALREADY_EXISTS; Error (`code`:
   *   EMBEDDED_KAFKA_CLOSED) after `close()`
   */
  createTopic(topic: TopicInput): void
  /** False if there was no such topic. */
  deleteTopic(name: string): boolean
  stats(): EmbeddedKafkaStats
  /** Closes every connection and forgets everything; resolves when the port is free. Parked requests end. */
  close(): Promise<void>
}

/**
 * Starts a broker in this process. It listens when the promise resolves, and keeps the process alive until it is
 * closed.
 *
 * @throws RangeError (`code`: EMBEDDED_KAFKA_OPTIONS_INVALID) that names every option that is wrong; ProtocolError if a topic cannot be made; the system's
 *   error if the port cannot be had (EADDRINUSE)
 */
export async function startEmbeddedKafka(options: EmbeddedKafkaOptions = {}): Promise<EmbeddedKafka> {
  const settings = completeOptions(options)
  const broker = new Broker(settings)
  const server = new BrokerServer(broker, apiHandlers)
  let port: number
  try {
    for (const topic of settings.topics) createTopic(broker, topic)
    port = await server.listen(settings.host, settings.port)
  } catch (error) {
    broker.close()
    throw error
  }
  const node = {
    nodeId: settings.nodeId,
    host: settings.advertisedHost,
    port: settings.advertisedPort || port,
  }
  broker.nodes.push(node)

  let closing: Promise<void> | undefined
  const close = (): Promise<void> => {
    closing ??= (async () => {
      const closed = server.close()
      broker.close()
      await closed
    })()
    return closing
  }
  return {
    host: node.host,
    port,
    brokers: [address(node)],
    clusterId: broker.clusterId,
    createTopic(topic) {
      if (closing !== undefined) throw closed()
      createTopic(broker, topic)
    },
    deleteTopic: (name) => broker.topics.delete(name),
    stats: () => ({
      connections: server.connectionCount,
      refusedConnections: server.refusedCount,
      parkedRequests: server.parkedCount,
      topics: broker.topics.size,
      logBytes: broker.topics.logBytes,
      droppedSegments: broker.droppedSegments,
      refusedBatches: broker.refusedBatches,
    }),
    close,
    [Symbol.asyncDispose]: close,
  }
}

function createTopic(broker: Broker, input: TopicInput): Topic {
  const problems: string[] = []
  const { name, partitions, configs } = completeTopic(input, broker.settings.defaultPartitions, problems)
  if (problems.length > 0) throw invalidOptions(problems)
  return broker.topics.create(name, partitions, configMap(configs))
}

function closed(): Error & { readonly code: string } {
  const message = 'embedded Kafka: it is closed, a topic that is made now would be in no broker'
  return Object.assign(new Error(message), { code: 'EMBEDDED_KAFKA_CLOSED' })
}

function address({ host, port }: BrokerNode): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
