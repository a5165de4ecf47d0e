import type { Reader } from '../wire/reader.ts'
import type { Writer } from '../wire/writer.ts'

/** Partitions of one topic, as most requests and answers have them. */
export interface OfTopic<Partition> {
  /** Its name, or its id where the version has that. */
  readonly topic: string
  readonly partitions: readonly Partition[]
}

interface Indexed {
  readonly index: number
}

/** Topics with a structure for each partition. `readPartition` reads its fields; where it ends is seen to here. */
export function readTopics<Partition>(
  reader: Reader,
  readPartition: (reader: Reader) => Partition,
  readTopic: (reader: Reader) => string = (from) => from.string(),
): OfTopic<Partition>[] {
  return reader.array(() => {
    const topic = readTopic(reader)
    const partitions = reader.array(() => {
      const partition = readPartition(reader)
      reader.tags()
      return partition
    })
    reader.tags()
    return { topic, partitions }
  })
}

/** Topics with the bare numbers of their partitions; null if the request has none, which asks for all. */
export function readTopicIndexes(reader: Reader): OfTopic<Indexed>[] | null {
  return reader.nullableArray(() => {
    const topic = reader.string()
    const partitions = reader.array(() => ({ index: reader.int32() }))
    reader.tags()
    return { topic, partitions }
  })
}

/** Writes what `readTopics` reads. */
export function writeTopics<Partition>(
  response: Writer,
  topics: readonly OfTopic<Partition>[],
  writePartition: (partition: Partition) => void,
  writeTopic: (topic: string) => void = (topic) => response.string(topic),
): void {
  response.array(topics, ({ topic, partitions }) => {
    writeTopic(topic)
    response.array(partitions, (partition) => {
      writePartition(partition)
      response.tags()
    })
    response.tags()
  })
}

/** The same topics, with something else of each partition. */
export function mapTopics<From, To>(
  topics: readonly OfTopic<From>[],
  map: (topic: string, partition: From) => To,
): OfTopic<To>[] {
  return topics.map(({ topic, partitions }) => ({
    topic,
    partitions: partitions.map((partition) => map(topic, partition)),
  }))
}

/**
 * Each partition once, the last time that it is named, so that no request asks for the same work again and again. The
 * order is that of the first mention.
 */
export function eachOnce<Partition extends Indexed>(
  topics: readonly OfTopic<Partition>[],
): OfTopic<Partition>[] {
  const once = new Map<string, Map<number, Partition>>()
  for (const { topic, partitions } of topics) {
    const known = once.get(topic) ?? new Map<number, Partition>()
    once.set(topic, known)
    for (const partition of partitions) known.set(partition.index, partition)
  }
  return [...once].map(([topic, partitions]) => ({ topic, partitions: [...partitions.values()] }))
}
