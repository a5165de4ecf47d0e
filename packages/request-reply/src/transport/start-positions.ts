/** Positions to begin at, against what a log has. */
import { TransportError } from '../errors.ts'
import type { RecordPosition, TopicPartition } from './transport.ts'

/** The offset where reading begins when `offset` was asked for and the log has those from `earliest` to `end`. */
export function startWithin(
  { topic, partition }: TopicPartition,
  offset: number,
  earliest: number,
  end: number,
  tell: (error: Error) => void,
): number {
  const what = `reading topic ${topic}, partition ${partition}: offset ${offset} was asked for`
  if (offset > end) {
    const text = `${what}, but the log ends before ${end} (was the topic created anew?); reading begins there`
    tell(new TransportError('MILENA_BROKER_ERROR', text))
    return end
  }
  if (offset >= earliest) return offset
  const text = `${what}, but records before ${earliest} are deleted; reading begins there`
  tell(new TransportError('MILENA_BROKER_ERROR', text))
  return earliest
}

/** The offset that `positions` name for a partition; the lowest where there are several. */
export function askedFor(
  positions: readonly RecordPosition[],
  { topic, partition }: TopicPartition,
): number | undefined {
  let lowest: number | undefined
  for (const one of positions) {
    if (one.topic !== topic || one.partition !== partition) continue
    if (lowest === undefined || one.offset < lowest) lowest = one.offset
  }
  return lowest
}
