/** Reads a stretch of a log without a group, in pieces, as fast as whoever asks for it takes them. */
import type { IncomingRecord, RecordPosition, Tail, Transport, Trouble } from '../transport/transport.ts'
import { stoppingOf } from '../transport/troubles.ts'

/** The most records, and bytes of them, after which a piece is handed over before more is read. */
const mostRecords = 1_000
const mostBytes = 4 * 1024 * 1024

/** What stands in a partition: from an offset, up to and without another. */
export interface Extent extends RecordPosition {
  readonly end: number
}

/** Where the partitions of a topic begin and end now: what stands in them, at the time of the call. */
export async function extentOf(transport: Transport, topic: string): Promise<readonly Extent[]> {
  const starts = await positionsAt(transport, topic, 'earliest')
  const ends = await positionsAt(transport, topic, 'latest')
  return ends.map(({ partition, offset: end }) => {
    const start = starts.find((one) => one.partition === partition)
    return { topic, partition, offset: Math.min(start?.offset ?? 0, end), end }
  })
}

async function positionsAt(
  transport: Transport,
  topic: string,
  from: 'earliest' | 'latest',
): Promise<readonly RecordPosition[]> {
  // Nothing of it is wanted but where it stands.
  await using tail = await transport.tail({ topic, partitions: 'all', from, onRecords() {} })
  return tail.positions()
}

/**
 * The records from a position up to an offset, in order. Holds no more than a piece (1 000 records or 4 MiB) and what the
 * brokers had already sent with it.
 *
 * @throws the trouble that lasts, when the partition cannot be read; the signal's reason when it is aborted.
 */
export async function* scan(
  transport: Transport,
  from: RecordPosition,
  end: number,
  signal?: AbortSignal,
): AsyncGenerator<IncomingRecord> {
  let { offset } = from
  while (offset < end) {
    signal?.throwIfAborted()
    const piece = await readPiece(transport, { ...from, offset }, end, signal)
    for (const record of piece.records) if (record.offset < end) yield record
    offset = piece.next
  }
}

async function readPiece(
  transport: Transport,
  from: RecordPosition,
  end: number,
  signal: AbortSignal | undefined,
): Promise<{ readonly records: readonly IncomingRecord[]; readonly next: number }> {
  const records: IncomingRecord[] = []
  let bytes = 0
  let next = from.offset
  const enough = Promise.withResolvers<false>()
  const onTrouble = (troubles: readonly Trouble[]): void => {
    const lasting = stoppingOf(troubles).find(({ kind }) => kind !== 'unreadable')
    if (lasting !== undefined) enough.reject(lasting.error)
  }
  const onAbort = (): void => enough.reject(signal?.reason)
  signal?.addEventListener('abort', onAbort, { once: true })
  let tail: Tail | undefined
  try {
    tail = await transport.tail({
      topic: from.topic,
      partitions: [from.partition],
      from: [from],
      onTrouble,
      onRecords(came) {
        for (const record of came) {
          records.push(record)
          bytes += record.size
        }
        next = came.at(-1)!.offset + 1
        if (next >= end || records.length >= mostRecords || bytes >= mostBytes) enough.resolve(false)
      },
    })
    // What stands there and is no record (a transaction's marker, a stretch that cannot be read) is not handed over.
    const all = tail.caughtUp().then(() => true)
    const isAll = await Promise.race([enough.promise, all])
    return { records, next: isAll ? Math.max(next, end) : next }
  } finally {
    signal?.removeEventListener('abort', onAbort)
    enough.promise.catch(() => undefined)
    await tail?.close()
  }
}
