/** How the partition of a reply address looks in a header. */
export interface PartitionForm {
  write(partition: number): Buffer
  /** The partition, or what is wrong with it: what stands behind the header's name in a sentence. */
  read(bytes: Buffer): number | string
}

/** An int32, big-endian. */
export const binaryPartition: PartitionForm = {
  write(partition) {
    const bytes = Buffer.allocUnsafe(4)
    bytes.writeInt32BE(partition)
    return bytes
  },
  read(bytes) {
    if (bytes.length !== 4) return `has ${bytes.length} bytes instead of 4 (int32, big-endian)`
    const partition = bytes.readInt32BE()
    return partition < 0 ? `is ${partition}` : partition
  },
}

const most = 0x7fffffff
const mostDigits = String(most).length

/** Decimal digits. */
export const decimalPartition: PartitionForm = {
  write: (partition) => Buffer.from(String(partition), 'latin1'),
  read(bytes) {
    const { length } = bytes
    if (length === 0 || length > mostDigits)
      return `has ${length} bytes instead of 1 to ${mostDigits} decimal digits`
    let partition = 0
    for (const byte of bytes) {
      if (byte < 0x30 || byte > 0x39) return 'is no decimal number'
      partition = partition * 10 + byte - 0x30
    }
    return partition > most ? `is ${partition}, at most ${most} can be` : partition
  },
}
