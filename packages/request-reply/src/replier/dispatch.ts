import type { AnyOperation } from '../contract/operation.ts'
import type { IncomingRecord } from '../transport/transport.ts'
import { isSame, MessageHeaders, type HeaderInput } from '../wire/headers.ts'
import { readOperationBytes } from '../wire/milena.ts'
import type { ReplyAddress } from '../wire/profile.ts'
import type { BeforeFinish } from './before-finish.ts'
import type { AnyHandler } from './middleware.ts'
import type { AnyRecordMiddleware } from './record-middleware.ts'
import type { ReplyTopics } from '../wire/reply-topics.ts'
import type { ReplyHeaders } from './reply-headers.ts'
import type { HandlerContext } from './context.ts'

/** A request as `select` sees it: what is needed to tell which operation it is. */
export interface ForeignRequest {
  /** The operations' own, also of a record that stands in one of their retry topics. */
  readonly topic: string
  readonly key: Buffer | null
  readonly value: Buffer | null
  readonly headers: MessageHeaders
}

/** Names the operation of a request that does not say so itself; `undefined` when it is none. */
export type SelectOperation = (request: ForeignRequest) => string | undefined

export interface HandleOptions<
  Used extends readonly unknown[] = readonly unknown[],
  UsedRecords extends readonly unknown[] = readonly unknown[],
> {
  /** Where the replies go of requests that have a correlation id and name no reply topic; without it these are one-way. */
  readonly replyTo?: ReplyAddress | undefined
  /** Headers of the request that the replies of this operation carry too, beside the replier's `copyHeaders`. Default none. */
  readonly copyHeaders?: readonly string[] | undefined
  /**
   * Headers that every reply of this operation carries, error replies included, beside the replier's own; of a name that
   * both have, copied or added, this operation's counts. As a function it is called for every request. Default none.
   */
  readonly replyHeaders?: HeaderInput | ((context: HandlerContext) => HeaderInput) | undefined
  /** Instead of the replier's `handlerTimeout`: milliseconds that this operation's handler may take. */
  readonly handlerTimeout?: number | undefined
  /**
   * Whether a handler that does not end is left behind, at `handlerTimeout` or once its caller's deadline has passed: the
   * next request of its key begins, and its place among `concurrency` is free. Order by key is given up against the one
   * that was left behind: it may still do its work, beside or after later requests of its key. At most `concurrency`
   * handlers are left behind at a time; `health()` counts them. Default false.
   */
  readonly leaveBehind?: boolean | undefined
  /** Awaited before a record of this operation counts as finished; see `BeforeFinish`. Default none. */
  readonly beforeFinish?: BeforeFinish | undefined
  /** Middleware around this operation's handler alone, inside of the replier's; the first outermost. */
  readonly use?: Used | undefined
  /** Record middleware for the records of this operation alone, inside of the replier's; the first outermost. */
  readonly useRecords?: UsedRecords | undefined
}

/** An operation and who handles it. */
export interface Handling extends Omit<HandleOptions, 'use' | 'useRecords' | 'copyHeaders' | 'replyHeaders'> {
  readonly operation: AnyOperation
  /** With the middleware around it. */
  readonly handler: AnyHandler
  /** The replier's, then its own. */
  readonly records: readonly AnyRecordMiddleware[]
  /** Of its replies; none where it has said nothing of them. */
  readonly chosenHeaders?: ReplyHeaders | undefined
  /** Whether it is an extension's, and not the application's. */
  readonly offered?: boolean
}

/** One topic's operations. */
export interface HandledTopic {
  readonly name: string
  /** The topic that its operations have themselves; itself, unless it is an extension's. */
  readonly base: string
  /** Its place in a chain of retry topics, from 1; 0 for one that is none. */
  readonly place: number
  /** Milliseconds that its records wait. */
  readonly delay: number
  readonly byName: ReadonlyMap<string, Handling>
  /** The operation, when there is but one. */
  readonly only: Handling | undefined
  readonly replyTopics: ReplyTopics
  /** The one that was named last, as its name came. */
  last: { readonly name: Buffer; readonly handling: Handling } | undefined
}

/**
 * Finds a request's operation: by its `milena-operation` header; without one the topic's only operation, or the one
 * that `select` names. A string says why there is none.
 */
export function findHandling(
  topic: HandledTopic,
  record: IncomingRecord,
  select: SelectOperation | undefined,
): Handling | string {
  const bytes = readOperationBytes(record.headers)
  if (bytes !== undefined) {
    const { last } = topic
    if (last !== undefined && isSame(bytes, last.name)) return last.handling
    const named = bytes.toString()
    const handling = topic.byName.get(named)
    if (handling === undefined) return `no operation ${quote(named)} on topic ${topic.name}`
    topic.last = { name: Buffer.from(bytes), handling }
    return handling
  }
  if (topic.only !== undefined) return topic.only
  const selected = select?.({
    topic: topic.base,
    key: record.key,
    value: record.value,
    headers: new MessageHeaders(record.headers),
  })
  if (selected === undefined) {
    return `the request names no operation, and topic ${topic.name} has ${topic.byName.size}`
  }
  return topic.byName.get(selected) ?? `no operation ${quote(selected)} on topic ${topic.name}`
}

/** A name from the wire: no control characters. */
function quote(name: string): string {
  return JSON.stringify(name)
}
