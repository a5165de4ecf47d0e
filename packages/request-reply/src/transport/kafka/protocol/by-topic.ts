/** Partitions as most APIs have them: an array of topics, each with an array of its partitions. */
import type { Reader } from './reader.ts'
import type { Writer } from './writer.ts'

/** Writes partitions, those of a topic together; `one` writes a partition and its tagged fields. */
export function writeByTopic<Partition extends { readonly topic: string }>(
  to: Writer,
  partitions: readonly Partition[],
  one: (to: Writer, partition: Partition) => void,
): void {
  to.array([...Map.groupBy(partitions, ({ topic }) => topic)], (writer, [topic, theirs]) => {
    writer.text(topic).array(theirs, one).tags()
  })
}

/** Reads partitions into one list; `one` reads a partition and its tagged fields. */
export function readByTopic<Partition>(
  from: Reader,
  one: (from: Reader, topic: string) => Partition,
): Partition[] {
  const partitions: Partition[] = []
  from.array((reader) => {
    const topic = reader.text()
    reader.array(() => partitions.push(one(reader, topic)))
    reader.tags()
  })
  return partitions
}
