/**
 * Partition of a keyed record, as Java's default partitioner computes it: murmur2 of the key, sign bit cleared,
 * modulo the number of partitions (org.apache.kafka.clients.producer.internals.BuiltInPartitioner; KIP-480).
 */
export function partitionForKey(key: Buffer, partitions: number): number {
  return (murmur2(key) & 0x7fffffff) % partitions
}

/** MurmurHash2, 32 bit, with Kafka's seed; a public-domain algorithm by Austin Appleby. */
function murmur2(data: Buffer): number {
  const length = data.length
  let hash = 0x9747b28c ^ length
  let at = 0
  for (; at + 4 <= length; at += 4) {
    let word = Math.imul(data.readInt32LE(at), 0x5bd1e995)
    word ^= word >>> 24
    hash = Math.imul(hash, 0x5bd1e995) ^ Math.imul(word, 0x5bd1e995)
  }
  const rest = length - at
  if (rest > 0) hash = Math.imul(hash ^ data.readUIntLE(at, rest), 0x5bd1e995)
  hash = Math.imul(hash ^ (hash >>> 13), 0x5bd1e995)
  return hash ^ (hash >>> 15)
}
