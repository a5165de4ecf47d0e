/** Puts records into a log with the client's own Producer, so that the tests of reading do not stand on our sender. */
import { Admin, Producer, type CompressionAlgorithmValue } from '@platformatic/kafka'

export interface WrittenRecord {
  readonly topic: string
  readonly partition: number
  readonly value?: string | null
  readonly key?: string | null
  readonly headers?: Readonly<Record<string, string>>
}

export interface LogWriter {
  write(records: readonly WrittenRecord[], compression?: CompressionAlgorithmValue): Promise<void>
  createTopic(name: string, partitions?: number, configs?: Readonly<Record<string, string>>): Promise<void>
  addPartitions(name: string, total: number): Promise<void>
  deleteTopic(name: string): Promise<void>
  /** Deletes the records before an offset. */
  deleteRecords(topic: string, partition: number, before: number): Promise<void>
  close(): Promise<void>
}

export function openLogWriter(brokers: readonly string[], replicas = 1): LogWriter {
  const options = { clientId: 'log-writer', bootstrapBrokers: [...brokers], retries: 20, retryDelay: 100 }
  const admin = new Admin(options)
  const producer = new Producer({ ...options, autocreateTopics: false })
  return {
    async write(records, compression = 'none') {
      // The client sends everything to the first partition's leader: one partition at a time.
      for (const part of Map.groupBy(records, (one) => `${one.topic}/${one.partition}`).values()) {
        await producer.send({ acks: -1, compression, messages: part.map(toMessage) })
      }
    },
    async createTopic(name, partitions = 1, configs = {}) {
      const list = Object.entries(configs).map(([key, value]) => ({ name: key, value }))
      await admin.createTopics({ topics: [name], partitions, replicas, configs: list })
    },
    async addPartitions(name, total) {
      await admin.createPartitions({ topics: [{ name, count: total, assignments: null! }] })
    },
    async deleteTopic(name) {
      await admin.deleteTopics({ topics: [name] })
    },
    async deleteRecords(topic, partition, before) {
      const partitions = [{ partition, offset: BigInt(before) }]
      await admin.deleteRecords({ topics: [{ name: topic, partitions }] })
    },
    async close() {
      await Promise.all([admin.close(), producer.close()])
    },
  }
}

function toMessage(one: WrittenRecord): {
  topic: string
  partition: number
  key?: Buffer
  value?: Buffer
  headers?: Map<Buffer, Buffer>
} {
  return {
    topic: one.topic,
    partition: one.partition,
    ...(one.key == null ? {} : { key: Buffer.from(one.key) }),
    ...(one.value == null ? {} : { value: Buffer.from(one.value) }),
    ...(one.headers === undefined
      ? {}
      : { headers: new Map(Object.entries(one.headers).map(([k, v]) => [Buffer.from(k), Buffer.from(v)])) }),
  }
}
