/**
 * The open routings of a requester, each with a reply topic of its own; the first is where replies go to by default.
 *
 * Each is by itself: what is in the way of one topic's replies concerns the requests alone that are answered there.
 */
import { OptionsError } from '../errors.ts'
import type { RecordPosition, Trouble } from '../transport/transport.ts'
import type { ReplyAddress } from '../wire/profile.ts'
import { foreign } from '../words.ts'
import { openRouting, type CompleteReplyRouting } from './open-routing.ts'
import type { ReplyRouting, RoutingContext } from './routing.ts'

/** A reply topic's name, or `undefined` for the default one. */
export type ReplyTopicName = string | undefined

/** As `RoutingContext`, for several of them: each call says whose it is. */
export interface RoutesContext extends Omit<RoutingContext, 'pending' | 'onTrouble'> {
  pending(of: ReplyTopicName): Iterable<Buffer>
  onTrouble(troubles: readonly Trouble[], of: ReplyTopicName): void
}

const none: readonly never[] = []

export class ReplyRoutes {
  readonly #first: CompleteReplyRouting
  readonly #others: ReadonlyMap<string, CompleteReplyRouting>
  readonly #all: readonly CompleteReplyRouting[]
  /** What `#troubles` was put together from. */
  #parts: readonly (readonly Trouble[])[]
  #troubles: readonly Trouble[] = none

  /** @param others by their topics */
  constructor(first: CompleteReplyRouting, others: ReadonlyMap<string, CompleteReplyRouting> = new Map()) {
    this.#first = first
    this.#others = others
    this.#all = [first, ...others.values()]
    this.#parts = this.#all.map(() => none)
  }

  get all(): readonly CompleteReplyRouting[] {
    return this.#all
  }

  /** @throws OptionsError when there is no such reply topic, naming those that there are */
  at(topic: ReplyTopicName): CompleteReplyRouting {
    if (topic === undefined) return this.#first
    const found = this.#others.get(topic) ?? (topic === this.#first.address().topic ? this.#first : undefined)
    if (found !== undefined) return found
    const topics = this.#all.map((each) => each.address().topic).join(', ')
    throw new OptionsError('replyTopic', [
      `${foreign(JSON.stringify(topic), 260)} is none of this requester's reply topics: ${topics}`,
    ])
  }

  /** Whether replies are read from this topic. */
  reads(topic: string): boolean {
    return this.#others.has(topic) || topic === this.#first.address().topic
  }

  /** The default one. */
  address(): ReplyAddress {
    return this.#first.address()
  }

  /** Of all of them; the same array until it changes. */
  troubles(): readonly Trouble[] {
    if (this.#others.size === 0) return this.#first.troubles()
    const parts = this.#all.map((each) => each.troubles())
    if (parts.some((part, n) => part !== this.#parts[n])) {
      this.#parts = parts
      this.#troubles = parts.flat()
    }
    return this.#troubles
  }

  /** Of all of them. */
  positions(): readonly RecordPosition[] {
    return this.#all.flatMap((each) => each.positions())
  }

  /** Resolves when what stood in each topic's log at the time of the call was handed over. */
  async caughtUp(): Promise<void> {
    await Promise.all(this.#all.map((each) => each.caughtUp()))
  }

  /** Closes each, whatever becomes of the others. @throws what the first has thrown that has thrown something */
  async close(): Promise<void> {
    await closeAll(this.#all)
  }
}

/**
 * Opens all of them; when one cannot be opened, the others are closed again.
 *
 * @throws OptionsError when two have one topic, or positions to resume from are in none
 */
export async function openRoutes(
  routings: readonly ReplyRouting[],
  context: RoutesContext,
): Promise<ReplyRoutes> {
  const [only] = routings
  if (routings.length === 1) return new ReplyRoutes(await openRouting(only!, contextOf(context, undefined)))
  const topics = topicsOf(routings, context.instanceId)
  const resumeFrom = resumingAt(topics, context.resumeFrom)
  const opening = await Promise.allSettled(
    routings.map(async (routing, n) => {
      const name = n === 0 ? undefined : topics[n]!
      const own = { ...contextOf(context, name), resumeFrom: resumeFrom.get(topics[n]!) }
      return withTopic(await openRouting(routing, own), routing, topics[n]!)
    }),
  )
  const open = opening.flatMap((each) => (each.status === 'fulfilled' ? each.value : []))
  const failed = opening.find((each) => each.status === 'rejected')
  if (failed !== undefined) {
    // Why it cannot be opened is what the caller must learn.
    await closeAll(open).catch(() => undefined)
    throw failed.reason
  }
  return new ReplyRoutes(open[0]!, new Map(open.slice(1).map((each, n) => [topics[n + 1]!, each])))
}

/** The topics of several routings. @throws OptionsError when one does not say its own, or two have the same */
export function topicsOf(routings: readonly ReplyRouting[], instanceId: string): readonly string[] {
  const problems: string[] = []
  const topics = routings.map((routing) => {
    if (typeof routing.topicOf === 'function') return routing.topicOf(instanceId)
    problems.push(`${routing.name} does not say its topic (topicOf), which it must as one of several`)
    return ''
  })
  for (const [n, topic] of topics.entries())
    if (topic !== '' && topics.indexOf(topic) < n) problems.push(`two of them have topic ${topic}`)
  if (problems.length > 0) throw new OptionsError('replyRouting', problems)
  return topics
}

function contextOf(context: RoutesContext, name: ReplyTopicName): RoutingContext {
  const pending = (): Iterable<Buffer> => context.pending(name)
  return { ...context, pending, onTrouble: (troubles) => context.onTrouble(troubles, name) }
}

/** Whose positions are whose. */
function resumingAt(
  topics: readonly string[],
  resumeFrom: readonly RecordPosition[] | undefined,
): ReadonlyMap<string, readonly RecordPosition[]> {
  const by = new Map<string, RecordPosition[]>()
  for (const position of resumeFrom ?? none) {
    if (!topics.includes(position.topic))
      throw new OptionsError('replyRouting', [
        `resumeFrom names ${foreign(`${position.topic}[${position.partition}]`)}, and this instance reads ` +
          `${topics.join(', ')}: the replies that are to be received would stand somewhere else`,
      ])
    const own = by.get(position.topic)
    if (own === undefined) by.set(position.topic, [position])
    else own.push(position)
  }
  return by
}

async function withTopic(
  open: CompleteReplyRouting,
  { name }: ReplyRouting,
  topic: string,
): Promise<CompleteReplyRouting> {
  const address = open.address()
  if (address.topic === topic) return open
  await open.close()
  throw new OptionsError(`reply routing ${name}`, [
    `it says topic ${topic}, and its address is in ${address.topic}`,
  ])
}

async function closeAll(routings: readonly CompleteReplyRouting[]): Promise<void> {
  const closing = await Promise.allSettled(routings.map((each) => each.close()))
  const failed = closing.find((each) => each.status === 'rejected')
  if (failed !== undefined) throw failed.reason
}
