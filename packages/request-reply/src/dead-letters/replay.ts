import type { Clock } from '../clock.ts'
import { isMilenaError } from '../error-types.ts'
import type { RecordPosition, TopicDescription, Transport } from '../transport/transport.ts'
import type { ReplyAddress, WireProfile } from '../wire/profile.ts'
import { wordsOf } from '../words.ts'
import type { LetterTopic } from './letter-writer.ts'
import { listed, type DeadLetter, type WholeDeadLetter } from './letter.ts'
import { planReply, replayedRequest, type ReplyPlan } from './replayed-request.ts'
import type { ReplayLog } from './replay-log.ts'

/** What is known of a request outside of its letter; see `ReplayOptions.effectOf`. */
export type KnownEffect =
  /** Its effect has taken place: it was answered after all. */
  | 'done'
  /** Somebody is at it. */
  | 'running'
  /** It was not seen, or what is stored of it is the failure that this letter is of. */
  | 'none'
  | 'unknown'

export interface ReplayOptions {
  /** Whether it is only said what would happen; default true. */
  readonly dryRun?: boolean
  /**
   * Where replies go: `requester`, where the request says, whether somebody waits there or not; or an address. Default: to
   * the requester while its deadline is not over, else nowhere.
   */
  readonly replyTo?: 'requester' | ReplyAddress
  /** Milliseconds that a replayed request has, as a deadline of its own; default: the requester's while it waits, else none. */
  readonly timeout?: number
  /** Replay also what was replayed before, or may have been; default false. */
  readonly again?: boolean
  /** Replay also what has taken place already; default false. */
  readonly evenIfDone?: boolean
  /** What is known of the request elsewhere: `effectIn(store)`, or the application's own; default: only what the letter says. */
  readonly effectOf?: (letter: WholeDeadLetter) => KnownEffect | Promise<KnownEffect>
  /** Who replays, for the record. */
  readonly by?: string
  readonly signal?: AbortSignal
}

/** What has become of a letter, or would. */
export type ReplayVerdict =
  /** Sent, or in a dry run: it would be. */
  | 'replayed'
  /** It was replayed before, or it may have been (`again`). */
  | 'already-replayed'
  /** Its effect has taken place (`evenIfDone`). */
  | 'already-done'
  /** Somebody is at it. */
  | 'in-progress'
  /** It cannot be replayed: its headers do not say where it stood, or its topic is missing or another's. */
  | 'impossible'
  /** It was certainly not sent. */
  | 'failed'
  /** Whether it was sent is not known; it counts as replayed. */
  | 'unknown'

export interface Replay {
  readonly letter: DeadLetter
  readonly verdict: ReplayVerdict
  /** Whether nothing was done. */
  readonly dryRun: boolean
  /** Why, in words. */
  readonly detail: string
  /** Where its request stands now. */
  readonly to: RecordPosition | undefined
  /** Where its reply goes; `undefined`: nowhere. */
  readonly replyTo: ReplyAddress | undefined
  /** Whether its requester still waits, by its deadline and our clock. */
  readonly waits: boolean
}

export interface ReplayerParts {
  readonly transport: Transport
  readonly clock: Clock
  readonly profile: WireProfile
  readonly topicOf: LetterTopic
  readonly log: ReplayLog
}

type Said = readonly [ReplayVerdict, string, to?: RecordPosition]

/** Replays letters, one after the other. */
export class Replayer {
  readonly #parts: ReplayerParts
  readonly #options: ReplayOptions
  readonly #topics = new Map<string, TopicDescription>()

  constructor(parts: ReplayerParts, options: ReplayOptions) {
    this.#parts = parts
    this.#options = options
  }

  async replay(letter: WholeDeadLetter): Promise<Replay> {
    const { dryRun = true, replyTo } = this.#options
    const plan = planReply(letter, replyTo, this.#parts.clock.now())
    const [verdict, detail, to] = await this.#decide(letter, plan, dryRun)
    return { letter: listed(letter), verdict, dryRun, detail, to, replyTo: plan.to, waits: plan.waits }
  }

  async #decide(letter: WholeDeadLetter, plan: ReplyPlan, dryRun: boolean): Promise<Said> {
    const { log } = this.#parts
    const { again = false, by } = this.#options
    const topic = await this.#target(letter)
    if (typeof topic === 'string') return ['impossible', topic]
    const earlier = log.of(letter).find(({ state }) => state !== 'failed')
    if (earlier !== undefined && !again) return ['already-replayed', inWords(earlier)]
    const effect = await this.#effect(letter)
    if (effect !== undefined) return effect
    if (dryRun) return ['replayed', `it would be sent to ${topic.name}`]
    const own = await log.begin(letter, by, again)
    if (own === undefined) return ['already-replayed', 'somebody else has just begun to replay it']
    return this.#send(letter, topic, plan, own)
  }

  async #send(
    letter: WholeDeadLetter,
    topic: TopicDescription,
    plan: ReplyPlan,
    own: NonNullable<Awaited<ReturnType<ReplayLog['begin']>>>,
  ): Promise<Said> {
    const { transport, clock, profile } = this.#parts
    const now = clock.now()
    const request = replayedRequest(letter, topic, plan, profile, now, this.#options.timeout)
    let to: RecordPosition
    try {
      to = await transport.send(request)
    } catch (error) {
      if (!isMilenaError(error) || error.sent !== 'no') return ['unknown', wordsOf(error)]
      // Where this cannot be recorded it counts as replayed: rather not at all than twice.
      await own.end({ state: 'failed' }).catch(() => undefined)
      return ['failed', wordsOf(error)]
    }
    const where = `it stands at ${to.topic}/${to.partition}/${to.offset}`
    try {
      await own.end({ state: 'replayed', to })
      return ['replayed', where, to]
    } catch (error) {
      const mark = `${where}; recorded is only that its replay began: ${wordsOf(error)}`
      return ['replayed', mark, to]
    }
  }

  /** The topic that it goes to, or why it goes nowhere. */
  async #target(letter: WholeDeadLetter): Promise<TopicDescription | string> {
    const { transport, topicOf } = this.#parts
    const { original } = letter
    if (original === undefined) return 'its headers do not say where its record stood'
    const { topic } = original
    // Whoever may write dead letters could else have anything written anywhere.
    if (topicOf(topic) !== letter.topic)
      return `it says that it stood in ${JSON.stringify(topic)}, whose dead letters are not kept in ${letter.topic}`
    const known = this.#topics.get(topic)
    if (known !== undefined) return known
    const found = (await transport.describeTopics([topic])).get(topic)
    if (found === undefined) return `its topic ${topic} does not exist`
    this.#topics.set(topic, found)
    return found
  }

  /** Why its effect forbids to replay it, if it does. */
  async #effect(letter: WholeDeadLetter): Promise<Said | undefined> {
    const { effectOf, evenIfDone = false } = this.#options
    const effect = (await effectOf?.(letter)) ?? 'unknown'
    if (effect === 'running') return ['in-progress', 'somebody is at it']
    if (effect !== 'done' && letter.effect !== 'done') return undefined
    if (evenIfDone) return undefined
    const who = effect === 'done' ? 'what is stored of it' : 'its letter'
    return ['already-done', `its effect has taken place, as ${who} says`]
  }
}

function inWords({
  state,
  at,
  by,
}: {
  readonly state: string
  readonly at: number
  readonly by: string | undefined
}): string {
  const who = by === undefined ? '' : ` by ${JSON.stringify(by)}`
  const when = `${at} (ms since the Unix epoch)`
  return state === 'replayed'
    ? `replayed${who} at ${when}`
    : `a replay began${who} at ${when}, and may have been sent`
}
