/**
 * Requester and replier processes: each has lives, which end by closing or by a crash.
 */
import type { Clock } from '../../packages/request-reply/src/clock.ts'
import type { HandlerContext } from '../../packages/request-reply/src/replier/context.ts'
import { createReplier, type Replier } from '../../packages/request-reply/src/replier/replier.ts'
import { createRequester, type Requester } from '../../packages/request-reply/src/requester/requester.ts'
import type { LateReply, Reply } from '../../packages/request-reply/src/requester/reply.ts'
import type { ReplyRouting } from '../../packages/request-reply/src/routing/routing.ts'
import { defineOperation, exponential, json, retry } from '../../packages/request-reply/src/index.ts'
import type { Effect, SentState } from '../../packages/request-reply/src/error-facts.ts'
import { MilenaError, RemoteError, ReplyError } from '../../packages/request-reply/src/errors.ts'
import type { RandomBytes } from '../../packages/request-reply/src/random.ts'
import type { MemoryTransport } from '../../packages/request-reply/src/transport/memory/transport.ts'
import type {
  RecordPosition,
  TopicPartition,
  Transport,
} from '../../packages/request-reply/src/transport/transport.ts'
import { placeOf } from './checkers.ts'
import { hashOf, type History, type Life } from './history.ts'
import type { Plan } from './plan.ts'
import type { Random } from './random.ts'
import type { VirtualClock } from './virtual-clock.ts'

export interface Work {
  readonly id: string
  readonly key: string
  readonly filling: number
}

interface Receipt {
  readonly id: string
  readonly hash: string
}

export const requestTopic = 'work_request'
export const groupId = 'workers'

export const work = defineOperation({
  name: 'work.do',
  topic: requestTopic,
  request: json<Work>(),
  reply: json<Receipt>(),
  key: ({ key }) => key,
})

/** A transport that does some things differently from the one behind it. */
export function delegate(transport: Transport, changes: Partial<Transport>): Transport {
  return {
    send: (record) => transport.send(record),
    withdraw: (record) => transport.withdraw(record),
    sending: () => transport.sending(),
    tail: (options) => transport.tail(options),
    join: (options) => transport.join(options),
    describeTopics: (names) => transport.describeTopics(names),
    createTopics: (topics) => transport.createTopics(topics),
    deleteTopics: (names) => transport.deleteTopics(names),
    readCommittedOffsets: (group, topics) => transport.readCommittedOffsets(group, topics),
    writeCommittedOffsets: (group, notes) => transport.writeCommittedOffsets(group, notes),
    close: () => transport.close(),
    [Symbol.asyncDispose]: () => transport.close(),
    ...changes,
  }
}

/** A failure that another try can mend. */
class NotNow extends Error {}

/** What all processes of one simulation share. */
export interface Surroundings {
  readonly clock: VirtualClock
  readonly requesterClock: Clock
  readonly random: Random
  readonly plan: Plan
  readonly history: History
  readonly replyRouting: () => ReplyRouting
  connect(name: string): MemoryTransport
  /** Where a defect is planted. */
  readonly wrap: (transport: MemoryTransport, role: 'requester' | 'replier') => Transport
  /** The number of the assignment under which a replier has a partition; `undefined` when it has not. */
  readonly ownership: (life: Life, partition: TopicPartition) => number | undefined
  /** A replier that has the partition has handled the request that stands there. */
  readonly onHandled: (
    life: Life,
    alive: () => boolean,
    position: RecordPosition,
    correlationId: string,
  ) => void
  readonly correlationIds: (life: Life) => RandomBytes
  readonly onLate: (id: string, hash: string | undefined, error: MilenaError | undefined) => void
  /** Reports what is wrong beyond the history. */
  complain(problem: string): void
  /** Adds up what the processes have counted in their lives. */
  count(role: string, counters: Readonly<Record<string, unknown>>): void
}

/** One process under one name. `start` comes back when it is up, or when that life has ended. */
export abstract class SimulatedProcess<Running> {
  readonly name: string
  protected readonly surroundings: Surroundings
  protected lives = 0
  #transport: MemoryTransport | undefined
  #running: Running | undefined
  #wanted = false
  readonly #crashed = new WeakSet<MemoryTransport>()

  constructor(name: string, surroundings: Surroundings) {
    this.name = name
    this.surroundings = surroundings
  }

  get life(): Life {
    return `${this.name}#${this.lives}`
  }

  get running(): Running | undefined {
    return this.#running
  }

  get transport(): MemoryTransport | undefined {
    return this.#transport
  }

  /** Starts it, again and again if that fails, as an orchestrator would. */
  async start(): Promise<void> {
    this.#wanted = true
    while (this.#wanted && this.#transport === undefined) {
      this.lives++
      const { life } = this
      const transport = this.surroundings.connect(life)
      this.#transport = transport
      this.note('start')
      try {
        const running = await this.open(transport, () => !this.#crashed.has(transport))
        if (this.#transport !== transport) return
        this.#running = running
        this.note('ready')
      } catch (error) {
        if (this.#transport !== transport) return
        this.note(`failed: ${error instanceof MilenaError ? error.code : String(error)}`)
        this.#transport = undefined
        await transport.close()
        await this.surroundings.clock.sleep(500)
      }
    }
  }

  crash(): void {
    this.#wanted = false
    const [transport, running] = [this.#transport, this.#running]
    if (!transport) return
    this.note('crash')
    this.#transport = undefined
    this.#running = undefined
    this.#crashed.add(transport)
    transport.kill()
    if (running) {
      this.surroundings.count(this.role, this.counters(running))
      // Only so that what a dead process left in memory ends: the broker hears nothing of it.
      void this.shut(running, 0)
    }
  }

  async close(): Promise<void> {
    this.#wanted = false
    const [transport, running] = [this.#transport, this.#running]
    if (!transport) return
    this.note('close')
    if (running) await this.shut(running, this.drainTimeout)
    if (this.#transport !== transport) return
    await transport.close()
    if (this.#transport !== transport) return
    if (running) {
      this.surroundings.count(this.role, this.counters(running))
      const problem = this.audit(running)
      if (problem !== undefined) this.surroundings.complain(`${this.life}: ${problem}`)
    }
    this.note('closed')
    this.#transport = undefined
    this.#running = undefined
  }

  protected note(event: string): void {
    this.surroundings.history.add({ what: 'process', name: this.life, event })
  }

  /** Milliseconds that closing waits for what is under way. */
  protected abstract readonly drainTimeout: number
  protected abstract readonly role: 'requester' | 'replier'
  protected abstract open(transport: MemoryTransport, alive: () => boolean): Promise<Running>
  protected abstract shut(running: Running, timeout: number): Promise<void>
  /** What does not add up in the books of a process that has closed. */
  protected abstract audit(running: Running): string | undefined
  protected abstract counters(running: Running): Readonly<Record<string, unknown>>
}

export class RequesterProcess extends SimulatedProcess<Requester> {
  protected readonly role = 'requester'
  // So short that some requests are abandoned.
  protected readonly drainTimeout = 20
  #asked = 0
  #alive: () => boolean = () => false

  /** Asks for a piece of work, if the process is up; resolves with the outcome's code. */
  async ask(
    key: string,
    options: { timeout: number; cancelAfter?: number | undefined; partition?: number },
  ): Promise<string> {
    const requester = this.running
    if (!requester) return 'down'
    const { clock, history, random } = this.surroundings
    const { life } = this
    const alive = this.#alive
    const id = `${life}-${++this.#asked}`
    const value: Work = { id, key, filling: random.between(0, 1_000) }
    const { cancelAfter, ...requestOptions } = options
    history.add({ what: 'asked', id, life, key, hash: hashOf(value), timeout: options.timeout })
    const cancelling = new AbortController()
    const timer =
      cancelAfter === undefined ? undefined : clock.schedule(cancelAfter, () => cancelling.abort())
    const settled = (code: string, sent: SentState, effect: Effect, hash?: string): string => {
      timer?.cancel()
      if (alive()) history.add({ what: 'outcome', id, code, sent, effect, hash })
      return code
    }
    try {
      const reply = await requester.request(work, value, { ...requestOptions, signal: cancelling.signal })
      return settled('reply', 'yes', 'done', reply.value.hash)
    } catch (error) {
      if (!(error instanceof MilenaError)) throw error
      return settled(error.code, error.sent, error.effect, hashInError(error))
    }
  }

  protected async open(transport: MemoryTransport, alive: () => boolean): Promise<Requester> {
    this.#alive = alive
    const { requesterClock, correlationIds, onLate, plan, replyRouting, wrap } = this.surroundings
    return createRequester({
      transport: wrap(transport, 'requester'),
      replyRouting: replyRouting(),
      instanceId: this.name,
      clock: requesterClock,
      random: correlationIds(this.life),
      maxPending: plan.maxPending,
      onLateReply: (late: LateReply) => {
        if (!alive()) return
        const reply = late.reply as Reply<Receipt> | undefined
        const hash = reply?.value.hash ?? (late.error && hashInError(late.error))
        onLate((late.request as Work).id, hash, late.error)
      },
    })
  }

  protected shut(requester: Requester, timeout: number): Promise<void> {
    return requester.close({ timeout })
  }

  protected audit(requester: Requester): string | undefined {
    const { accepted, replied, remoteErrors, timedOut, cancelled, failed, abandoned, pending } =
      requester.stats()
    const ended = replied + remoteErrors + timedOut + cancelled + failed + abandoned
    return ended === accepted && pending === 0
      ? undefined
      : `${accepted} requests were accepted, ${ended} are counted as ended and ${pending} as pending`
  }

  protected counters(requester: Requester): Readonly<Record<string, unknown>> {
    return { ...requester.stats() }
  }
}

/** A refusal carries the request's hash as its message. */
function hashInError(error: MilenaError): string | undefined {
  return error instanceof RemoteError && error.remoteCode === 'REFUSED' ? error.remoteMessage : undefined
}

export class ReplierProcess extends SimulatedProcess<Replier> {
  protected readonly role = 'replier'
  protected readonly drainTimeout = 2_000

  protected async open(transport: MemoryTransport, alive: () => boolean): Promise<Replier> {
    const { clock, plan, wrap, random } = this.surroundings
    const { life } = this
    const jitter = random.for(`${life} retries`)
    const replier = createReplier({
      transport: wrap(transport, 'replier'),
      groupId,
      ...(plan.staticMembers ? { groupInstanceId: this.name } : {}),
      clock,
      sessionTimeout: 3_000,
      heartbeatInterval: 500,
      drainTimeout: 1_000,
      maxInHand: 20,
      concurrency: 8,
      logger: { warn: () => {} },
    })
    const again = retry({
      backoff: exponential({ first: 50, most: 1_000 }),
      retryable: (error) => error instanceof NotNow,
      random: (length) => jitter.bytes(length),
    })
    replier.handle(work, (request, context) => this.#handle(life, alive, request, context), {
      useRecords: [again],
    })
    await replier.start()
    return replier
  }

  async #handle(life: Life, alive: () => boolean, request: Work, context: HandlerContext): Promise<Receipt> {
    const { clock, history, random, ownership, plan } = this.surroundings
    const assignment = ownership(life, context.position)
    const drawn = random.for(`${life} ${request.id} ${clock.monotonic()}`)
    const listens = drawn.chance(0.3)
    await clock.sleep(drawn.chance(plan.slowHandlers) ? drawn.between(1_000, 4_000) : drawn.between(0, 60))
    // A dead process does nothing more.
    if (!alive()) return new Promise(() => {})
    if (listens) context.signal.throwIfAborted()
    if (drawn.chance(plan.triedAgain)) throw new NotNow('before anything was done')
    const hash = hashOf(request)
    const [refused, failed] = [request.filling % 20 === 0, request.filling % 20 === 1]
    const zombie = assignment === undefined || assignment !== ownership(life, context.position)
    history.add({
      what: 'handled',
      id: request.id,
      key: request.key,
      place: placeOf(context.position),
      worker: life,
      done: !refused && !failed,
      touched: !refused,
      zombie,
    })
    if (!zombie) this.surroundings.onHandled(life, alive, context.position, context.correlationId!)
    // Refused at every delivery, and before anything was done: so it may say so.
    if (refused) throw new ReplyError('REFUSED', hash, { effect: 'none' })
    if (failed) throw new Error('planted in the load, and not for the requester to see')
    return { id: request.id, hash }
  }

  protected shut(replier: Replier, timeout: number): Promise<void> {
    return replier.close({ timeout })
  }

  protected audit(replier: Replier): string | undefined {
    const { partitions } = replier.stats()
    return partitions === 0 ? undefined : `${partitions} partitions are left`
  }

  protected counters(replier: Replier): Readonly<Record<string, unknown>> {
    return { ...replier.stats() }
  }
}
