/**
 * Dead letters sketched as a hook before a record is finished: what failed, or was passed over, goes in its bytes to
 * `<topic>-dlt`. While that cannot be written the partition stands still, and nothing is committed past the record.
 * Thrown away when the library has its own; it shows that the seam is enough.
 */
import type { BeforeFinish, OutgoingRecord, RawHeader } from '@milena/request-reply'

export function deadLetters(send: (record: OutgoingRecord) => Promise<unknown>): BeforeFinish {
  return async ({ topic, partition, offset, record, outcome }) => {
    if (outcome.kind !== 'error' && outcome.kind !== 'passed over') return
    // A stretch that cannot be read has no bytes to be kept; its place is in the log of the replier.
    if (record === undefined) return
    const why = outcome.kind === 'error' ? outcome.code : outcome.reason
    const headers: RawHeader[] = [
      ...record.headers,
      [Buffer.from('dlt-from'), Buffer.from(`${topic}/${partition}/${offset}`)],
      [Buffer.from('dlt-reason'), Buffer.from(why)],
    ]
    await send({ topic: `${topic}-dlt`, key: record.key, value: record.value, headers })
  }
}
