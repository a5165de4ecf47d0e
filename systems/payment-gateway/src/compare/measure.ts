/** What one run of a load showed, from the callers' answers and the gateways' own counters. */
import type { RequesterStats } from '@milena/request-reply'
import type { JsonClient } from '@milena/hosting'
import { replyTopicPartitions, type RoutingName } from '../routing/choose.ts'
import type { LoadResult } from './load.ts'

export type Counters = Pick<
  RequesterStats,
  'foreign' | 'recordsRead' | 'bytesRead' | 'ownRecordsRead' | 'ownBytesRead'
> & {
  readonly topic: string
  readonly inHand: number
  /** Payments' replies alone: what a gateway asks about payments is answered late as well. */
  readonly late: number
}

export async function readCounters(client: JsonClient): Promise<Counters> {
  const { body } = await client.call({ method: 'GET', path: '/stats', timeout: 5_000 })
  const { requester, inHand, late } = body as { requester: RequesterStats; inHand: number; late: number }
  return { ...requester, topic: requester.replyAddress.topic, inHand, late }
}

export interface Row {
  readonly routing: RoutingName
  readonly requests: number
  readonly answered: number
  /** Replies that only gateways read which had not asked: their callers were never answered. */
  readonly lostToWrongGateway: number
  readonly timedOut: number
  /** Of those timed out, how many got their reply after all, late. */
  readonly late: number
  readonly other: number
  readonly recordsPerReply: number
  readonly bytesPerReply: number
  readonly p50: number
  readonly p99: number
  readonly topics: number
  readonly partitions: number
}

/** `counters`: of every gateway that took part, what it counted during this load. */
export function toRow(routing: RoutingName, load: LoadResult, counters: readonly Counters[]): Row {
  const sum = (read: (one: Counters) => number) => counters.reduce((total, one) => total + read(one), 0)
  const late = sum((one) => one.late)
  const topics = new Set(counters.map(({ topic }) => topic)).size
  const sorted = load.outsideProvider.toSorted((a, b) => a - b)
  return {
    routing,
    requests: load.answered + load.timedOut + load.other,
    answered: load.answered,
    lostToWrongGateway: Math.min(
      Math.max(0, load.timedOut - late),
      sum((one) => one.foreign),
    ),
    timedOut: load.timedOut,
    late,
    other: load.other,
    recordsPerReply: sum((one) => one.recordsRead) / sum((one) => one.ownRecordsRead),
    bytesPerReply: sum((one) => one.bytesRead) / sum((one) => one.ownBytesRead),
    p50: quantile(sorted, 0.5),
    p99: quantile(sorted, 0.99),
    topics,
    partitions: topics * replyTopicPartitions[routing],
  }
}

/** What a gateway counted since an earlier look. */
export function since(before: Counters, after: Counters): Counters {
  return {
    ...after,
    late: after.late - before.late,
    foreign: after.foreign - before.foreign,
    recordsRead: after.recordsRead - before.recordsRead,
    bytesRead: after.bytesRead - before.bytesRead,
    ownRecordsRead: after.ownRecordsRead - before.ownRecordsRead,
    ownBytesRead: after.ownBytesRead - before.ownBytesRead,
  }
}

/** Whether every request ended with its own reply, in time or late. */
export function lostNothing(row: Row): boolean {
  return row.answered + row.late >= row.requests
}

function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN
}
