/**
 * Replies that are read before their request is registered: where a requester resumes, what its predecessor had asked is
 * registered again only after the reading has begun. Kept, in memory of their own, within the same bounds as requests
 * without a reply; the oldest is forgotten first.
 */
import type { IncomingRecord } from '../transport/transport.ts'
import { RecentEntries } from './memory.ts'

export class EarlyReplies {
  readonly #kept: RecentEntries<readonly IncomingRecord[]>

  /** @param onForgotten told of each record for which nobody has come */
  constructor(capacity: number, maxBytes: number, onForgotten: (record: IncomingRecord) => void) {
    this.#kept = new RecentEntries(capacity, maxBytes, (records) => records.forEach(onForgotten))
  }

  keep(id: string, record: IncomingRecord): void {
    const records = [...this.take(id), copyOf(record)]
    this.#kept.add(
      id,
      records,
      records.reduce((bytes, { size }) => bytes + size, 0),
    )
  }

  /** Those of this request, in the order in which they came; they are not kept any more. */
  take(id: string): readonly IncomingRecord[] {
    return this.#kept.take(id) ?? []
  }
}

/** A record shares memory with its neighbours, which would be kept as well. */
export function copyOf(record: IncomingRecord): IncomingRecord {
  const { key, value, headers } = record
  return {
    ...record,
    key: key && Buffer.from(key),
    value: value && Buffer.from(value),
    headers: headers.map(([name, content]) => [Buffer.from(name), content && Buffer.from(content)]),
  }
}
