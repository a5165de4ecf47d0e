/**
 * What members of a consumers' group tell one another by way of the coordinator, which does not read it: subscriptions
 * and assignments of the consumer protocol, written in version 3.
 *
 *     subscription => version [topic] user_data [topic [partition]] generation_id rack_id
 *     assignment => version [topic [partition]] user_data
 *
 * Owned partitions came with version 1 (KIP-429), the generation with 2 (KIP-792), the rack with 3 (KIP-881). Later
 * versions only add at the end. Some clients name a later version than the one in which they write: what is missing at
 * the end has its default.
 */
import type { TopicPartition } from '../../transport.ts'
import { Reader } from './reader.ts'
import { Writer } from './writer.ts'

const VERSION = 3
const NO_GENERATION = -1

export interface ConsumerSubscription {
  readonly topics: readonly string[]
  readonly owned: readonly TopicPartition[]
  /** The generation in which `owned` was assigned; −1 when it is not told. */
  readonly generation: number
}

export function writeSubscription({ topics, owned, generation }: ConsumerSubscription): Buffer {
  const to = new Writer(false).int16(VERSION)
  to.array(topics, (writer, topic) => writer.text(topic)).blob(null)
  writePartitions(to, owned)
  return Buffer.concat(to.int32(generation).text(null).finish())
}

/** Throws for what is no subscription. */
export function readSubscription(bytes: Buffer): ConsumerSubscription {
  const from = new Reader(bytes, false)
  const version = from.int16()
  const topics = from.array((reader) => reader.text())
  const userData = from.nullableBlob()
  const owned = version >= 1 && from.left > 0 ? readPartitions(from) : []
  const told = version >= 2 && from.left > 0 ? from.int32() : NO_GENERATION
  return { topics, owned, generation: told >= 0 ? told : readGeneration(userData) }
}

export function writeAssignment(partitions: readonly TopicPartition[]): Buffer {
  const to = new Writer(false).int16(VERSION)
  writePartitions(to, partitions)
  return Buffer.concat(to.blob(null).finish())
}

/** Nothing at all is an assignment without partitions. Throws for what is none. */
export function readAssignment(bytes: Buffer): TopicPartition[] {
  if (bytes.length === 0) return []
  const from = new Reader(bytes, false)
  from.int16()
  return from.left === 0 ? [] : readPartitions(from)
}

/** Before version 2, members of the cooperative-sticky assignment tell the generation in the user data. */
function readGeneration(userData: Buffer | null): number {
  return userData === null || userData.length < 4 ? NO_GENERATION : userData.readInt32BE(0)
}

function writePartitions(to: Writer, partitions: readonly TopicPartition[]): void {
  to.array([...Map.groupBy(partitions, ({ topic }) => topic)], (writer, [topic, theirs]) => {
    writer.text(topic).array(theirs, (inner, { partition }) => inner.int32(partition))
  })
}

function readPartitions(from: Reader): TopicPartition[] {
  const partitions: TopicPartition[] = []
  from.array((reader) => {
    const topic = reader.text()
    reader.array(() => partitions.push({ topic, partition: reader.int32() }))
  })
  return partitions
}
