/**
 * What has come to a request that wants several replies.
 *
 * Each consumer group answers once: a second reply of a group is a duplicate, as a request that was delivered again has
 * it, and one that says something else contradicts the first. The exception is an error that left its effect open: the
 * same group's reply may follow, and counts. A reply that names no group, such as Spring's, is known by where it stands.
 */
import type { MilenaError } from '../errors.ts'
import type { IncomingRecord, RecordPosition } from '../transport/transport.ts'
import type { RawHeader } from '../wire/headers.ts'
import { readGroup } from '../wire/milena.ts'
import type { Gathered, GatherPlan } from './gathered.ts'
import type { ReplySeen } from './memory.ts'
import type { Reply } from './reply.ts'

/** Bytes that a reply takes beside its record: the objects around it, and what it is known by. */
const replyOverhead = 1_024

/** After the outcome so many further replies are known by their group, or position; what comes then is late, each time it comes. */
const mostLater = 1_000

interface Answer extends ReplySeen {
  /** Another one may follow that says what became of it. */
  readonly open: boolean
}

export class Gathering {
  /** What has come, in memory. */
  bytes = 0
  readonly #plan: GatherPlan
  /** By group, or by position. */
  readonly #answers = new Map<string, Answer>()
  /** How many were let in: gathered, or being read. */
  #came = 0
  #groups: string[] = []
  #replies: Reply<never>[] = []
  #errors: MilenaError[] = []

  constructor(plan: GatherPlan) {
    this.#plan = plan
  }

  get maxReplies(): number {
    return this.#plan.maxReplies
  }

  get isFull(): boolean {
    return this.#came >= this.#plan.maxReplies
  }

  get hasReplies(): boolean {
    return this.#replies.length > 0
  }

  /** What is kept when it has its outcome, to tell what comes then. */
  get rememberedBytes(): number {
    return this.#answers.size * replyOverhead
  }

  /**
   * The reply that this one repeats, or contradicts; without one it is noted.
   *
   * @param open it is an error that leaves open what the request did
   */
  meet(record: IncomingRecord, fingerprint: number, open: boolean): ReplySeen | undefined {
    const { topic, partition, offset } = record
    const group = readGroup(record.headers)
    const name = group === undefined ? `${topic} ${partition} ${offset}` : `group ${group}`
    const known = this.#answers.get(name)
    if (known !== undefined && (open || !known.open)) return known
    if (known === undefined && this.#answers.size >= this.#plan.maxReplies + mostLater) return undefined
    this.#answers.set(name, { fingerprint, position: { topic, partition, offset }, open })
    return undefined
  }

  /** Bytes of memory that a reply takes while it is here. */
  sizeOf(record: IncomingRecord): number {
    return record.size + replyOverhead
  }

  /** There is room for it. */
  admit(bytes: number): void {
    this.#came++
    this.bytes += bytes
  }

  add(record: IncomingRecord, read: Reply<unknown> | MilenaError): void {
    const group = readGroup(record.headers)
    if (group !== undefined && !this.#groups.includes(group)) this.#groups.push(group)
    if (read instanceof Error) this.#errors.push(read)
    else this.#replies.push(read as Reply<never>)
  }

  /** @throws what `until` throws; TypeError when it says neither true nor false */
  isReleased(): boolean {
    const { count, until } = this.#plan
    if (until === undefined) return this.#replies.length >= count!
    const said = until(this.#replies, this.#errors)
    if (typeof said === 'boolean') return said
    throw new TypeError(
      `it must return true or false, not ${said instanceof Promise ? 'a promise' : typeof said}`,
    )
  }

  /** What has come, which is let go of. */
  finish(
    complete: boolean,
    correlationId: string,
    request: RecordPosition | undefined,
    duration: number,
  ): Gathered<never> {
    const gathered = {
      complete,
      replies: this.#replies,
      errors: this.#errors,
      groups: this.#groups,
      correlationId,
      request,
      duration,
    }
    this.#replies = []
    this.#errors = []
    this.#groups = []
    return gathered
  }
}

/**
 * The record in memory of its own: what is read from a log shares it with the batch that it came in, all of which would
 * be kept for as long as its request waits for others.
 */
export function kept(record: IncomingRecord): IncomingRecord {
  const memory = Buffer.allocUnsafeSlow(record.size)
  let at = 0
  function own(bytes: Buffer): Buffer
  function own(bytes: Buffer | null): Buffer | null
  function own(bytes: Buffer | null): Buffer | null {
    if (bytes === null) return null
    const start = at
    at += bytes.copy(memory, at)
    return at - start === bytes.length ? memory.subarray(start, at) : Buffer.from(bytes)
  }
  const { key, value, headers } = record
  return {
    ...record,
    key: own(key),
    value: own(value),
    headers: headers.map(([name, content]): RawHeader => [own(name), own(content)]),
  }
}
