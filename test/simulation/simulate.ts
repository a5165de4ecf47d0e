/**
 * One simulated run: requesters and repliers on an in-memory broker, under faults, and what came of it.
 *
 * Everything that happens follows from the seed: the same seed gives the same history.
 */
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import {
  replySent,
  requestPassedOver,
  requestSent,
  warning,
  type PassedOverStep,
  type RepliedStep,
  type SentStep,
} from '../../packages/request-reply/src/diagnostics.ts'
import {
  createMemoryBroker,
  type MemoryBroker,
} from '../../packages/request-reply/src/transport/memory/broker.ts'
import type { SendFault } from '../../packages/request-reply/src/transport/memory/faults.ts'
import type {
  OutgoingRecord,
  RecordPosition,
  TopicPartition,
} from '../../packages/request-reply/src/transport/transport.ts'
import { readError } from '../../packages/request-reply/src/wire/milena.ts'
import { springProfile } from '../../packages/request-reply/src/wire/spring.ts'
import { RemoteError } from '../../packages/request-reply/src/errors.ts'
import { check, placeOf, type LoggedRequest } from './checkers.ts'
import { History, type Life } from './history.ts'
import { drawPlan, type Fault, type Plan } from './plan.ts'
import {
  groupId,
  ReplierProcess,
  RequesterProcess,
  requestTopic,
  type Surroundings,
  type Work,
} from './processes.ts'
import {
  replyTopic,
  routings,
  type Defect,
  type SimulationOptions,
  type SimulationResult,
} from './simulated.ts'
import { Random } from './random.ts'
import { VirtualClock } from './virtual-clock.ts'

/** Milliseconds after which a transport gives up on an answer. */
const deliveryTimeout = 5_000
/** Milliseconds in which, while all is quiet, a reply is acknowledged, and in which what is finished is committed. */
const timeToCommit = 250
/** Milliseconds in which everything must be worked off once it has healed. */
const healing = 60_000

export async function simulate(options: SimulationOptions): Promise<SimulationResult> {
  const simulation = new Simulation(options)
  const listeners = [
    [requestSent.name, simulation.onSent],
    [requestPassedOver.name, simulation.onPassedOver],
    [replySent.name, simulation.onAnswered],
    // Heard, so that nobody prints it: here things go wrong all the time.
    [warning.name, () => {}],
  ] as const
  for (const [name, listener] of listeners) subscribe(name, listener)
  process.on('unhandledRejection', simulation.onUnhandled)
  try {
    return await simulation.run()
  } finally {
    process.off('unhandledRejection', simulation.onUnhandled)
    for (const [name, listener] of listeners) unsubscribe(name, listener)
  }
}

class Simulation {
  readonly #options: SimulationOptions
  readonly #defect: Defect
  readonly #clock = new VirtualClock()
  readonly #history = new History(() => this.#clock.monotonic())
  readonly #random: Random
  readonly #weather: Random
  readonly #plan: Plan
  readonly #broker: MemoryBroker
  readonly #requesters: RequesterProcess[]
  readonly #repliers: ReplierProcess[]
  readonly #counters: Record<string, number> = {}
  readonly #unhealed: string[] = []
  #over = false
  /** Until when brokers are slow or somebody is cut off, as far as is known. */
  #quietFrom = 0
  readonly #answeredAt = new Map<string, number>()
  #storm: { readonly until: number; readonly severity: number; readonly slowness: number } | undefined

  constructor(options: SimulationOptions) {
    this.#options = options
    this.#defect = options.defect ?? {}
    this.#random = new Random(`${options.seed}/${options.routing}`)
    this.#weather = this.#random.for('weather')
    this.#plan = drawPlan(this.#random.for('plan'))
    const { requesters, repliers, requestPartitions, replyPartitions } = this.#plan
    const chance = this.#random.for('broker')
    this.#broker = createMemoryBroker({
      clock: this.#clock,
      random: () => chance.fraction(),
      topics: [
        { name: requestTopic, partitions: requestPartitions },
        { name: replyTopic, partitions: replyPartitions },
      ],
      faults: {
        send: (record) => this.#sendFault(record),
        deliveryDelay: () => this.#weather.between(0, 3 + this.#slowness),
      },
    })
    const surroundings = this.#surroundings()
    this.#requesters = requesters.map((name) => new RequesterProcess(name, surroundings))
    this.#repliers = repliers.map((name) => new ReplierProcess(name, surroundings))
  }

  readonly onSent = (message: unknown): void => {
    const { correlationId, position } = message as SentStep
    const { partition, offset } = position
    this.#history.add({ what: 'acknowledged', correlationId, partition, offset })
  }

  readonly onAnswered = (message: unknown): void => {
    const { correlationId, reply } = message as RepliedStep
    const { topic, partition, offset } = reply
    this.#answeredAt.set(correlationId!, this.#clock.monotonic())
    this.#history.add({ what: 'answered', correlationId: correlationId!, topic, partition, offset })
  }

  /** It would have ended a process. */
  readonly onUnhandled = (reason: unknown): void => {
    const what = reason instanceof Error ? reason.message : String(reason)
    this.#unhealed.push(`a rejection that nobody handles: ${what}`)
  }

  readonly onPassedOver = (message: unknown): void => {
    const { correlationId, reason } = message as PassedOverStep
    this.#history.add({ what: 'passed over', correlationId, reason })
  }

  async run(): Promise<SimulationResult> {
    for (const process of [...this.#repliers, ...this.#requesters]) void process.start()
    for (const [i, requester] of this.#requesters.entries())
      this.#load(requester, this.#random.for(`load ${i}`))
    for (const [number, fault] of this.#plan.faults.entries())
      if (!this.#options.without?.has(number)) this.#clock.schedule(fault.at, () => this.#strike(fault))
    await this.#clock.run(this.#plan.duration)
    await this.#heal()
    await this.#closeAll()

    const history = this.#history.happenings
    const facts = {
      history,
      log: this.#log(),
      replies: { topic: replyTopic, at: this.#replies() },
      unhealed: this.#unhealed,
      calm: this.#plan.calm,
    }
    return {
      plan: this.#plan,
      history,
      hash: this.#history.hash(),
      violations: check(facts),
      counters: this.#counters,
    }
  }

  get #slowness(): number {
    return this.#stormy ? this.#storm!.slowness : 0
  }

  get #stormy(): boolean {
    return this.#storm !== undefined && this.#clock.monotonic() < this.#storm.until
  }

  #surroundings(): Surroundings {
    const { wrap, correlationIds, onLate, requesterClock } = this.#defect
    return {
      clock: this.#clock,
      requesterClock: requesterClock?.(this.#clock) ?? this.#clock,
      random: this.#random.for('work'),
      plan: this.#plan,
      history: this.#history,
      replyRouting: this.#defect.replyRouting ?? routings[this.#options.routing]!,
      connect: (clientId) => this.#broker.connect({ clientId, latency: 1, deliveryTimeout }),
      wrap: wrap ?? ((transport) => transport),
      ownership: (life, partition) => this.#epochOf(life, partition),
      onHandled: (...what) => this.#watch(...what),
      correlationIds: (life) => {
        const source = this.#random.for(`ids of ${life}`)
        return correlationIds?.(life) ?? ((length) => source.bytes(length))
      },
      onLate: (id, hash, error) => {
        const code = error instanceof RemoteError ? error.remoteCode : error?.code
        this.#history.add({ what: 'late', id, hash, code, effect: error?.effect })
        onLate?.(this.#history, id)
      },
      complain: (problem) => this.#unhealed.push(problem),
      count: (role, counters) => {
        for (const [name, value] of Object.entries(counters))
          if (typeof value === 'number')
            this.#counters[`${role}.${name}`] = (this.#counters[`${role}.${name}`] ?? 0) + value
      },
    }
  }

  /** Whether the replier that has handled the request answers it soon, and has time to commit that. */
  #watch(life: Life, alive: () => boolean, position: RecordPosition, correlationId: string): void {
    const [began, epoch] = [this.#clock.monotonic(), this.#epochOf(life, position)]
    this.#clock.schedule(2 * timeToCommit, () => {
      const answered = this.#answeredAt.get(correlationId)
      if (!alive() || answered === undefined || answered < began || answered > began + timeToCommit) return
      if (this.#quietFrom > began || this.#epochOf(life, position) !== epoch) return
      this.#history.add({ what: 'kept', place: placeOf(position) })
    })
  }

  #epochOf(life: Life, partition: TopicPartition): number | undefined {
    const owner = this.#broker.owner(groupId, partition)
    return owner?.clientId === life ? owner.epoch : undefined
  }

  /** Requests at random times until the load ends. */
  #load(requester: RequesterProcess, random: Random): void {
    this.#clock.schedule(random.between(1, this.#plan.pace), () => {
      if (this.#clock.monotonic() >= this.#plan.duration) return
      // Bursts, so that requests wait behind others when something happens.
      for (let left = random.chance(0.15) ? 8 : 1; left > 0; left--)
        void requester.ask(`key-${random.between(0, this.#plan.keys)}`, {
          timeout: random.pick([100, 1_000, 3_000]),
          cancelAfter: random.chance(0.1) ? random.between(0, 200) : undefined,
        })
      this.#load(requester, random)
    })
  }

  #strike(fault: Fault): void {
    // What was slowed down by it may come later still.
    if (fault.kind === 'storm' || fault.kind === 'cut')
      this.#quietFrom = Math.max(this.#quietFrom, fault.at + fault.lasts + 3_000)
    if (fault.kind === 'storm') {
      this.#storm = { ...fault, until: fault.at + fault.lasts }
    } else if (fault.kind === 'scale') {
      const extra = new ReplierProcess(fault.process, this.#surroundings())
      this.#repliers.push(extra)
      void extra.start()
      this.#clock.schedule(fault.lasts, () => void extra.close())
    } else {
      const process = this.#processes.find(({ name }) => name === fault.process)!
      if (fault.kind === 'cut') process.transport?.disconnect(fault.lasts)
      else void this.#takeDown(process, fault)
    }
  }

  async #takeDown(
    process: RequesterProcess | ReplierProcess,
    fault: { readonly kind: 'crash' | 'restart'; readonly down: number },
  ): Promise<void> {
    if (fault.kind === 'crash') process.crash()
    else await process.close()
    await this.#clock.sleep(fault.down)
    if (!this.#over) await process.start()
  }

  get #processes(): (RequesterProcess | ReplierProcess)[] {
    return [...this.#requesters, ...this.#repliers]
  }

  #sendFault(record: OutgoingRecord): SendFault | undefined {
    // Without one it is no reply: an instance asks whether another one has its id.
    const correlation =
      record.topic === requestTopic ? undefined : springProfile.readCorrelation(record.headers)
    if (correlation !== undefined) {
      const correlationId = correlation.toString('hex')
      this.#history.add({ what: 'replied', correlationId, code: readError(record.headers)?.code })
    }
    const planted = this.#defect.send?.(record)
    if (planted || !this.#stormy) return planted
    const { severity, slowness } = this.#storm!
    const delays = {
      delay: this.#weather.between(0, 1 + slowness),
      ackDelay: this.#weather.between(0, 1 + slowness),
    }
    const fate = (['duplicate', 'not-sent', 'unknown', 'unknown-appended'] as const).find(() =>
      this.#weather.chance(severity),
    )
    return { ...delays, fate }
  }

  /** No more faults: everything comes back, is worked off, and answers. */
  async #heal(): Promise<void> {
    this.#storm = undefined
    for (const process of [...this.#requesters, ...this.#repliers.slice(0, this.#plan.repliers.length)])
      void process.start()
    // The last cut lasts 9 seconds, and a process may be down for 5.
    await this.#clock.run(10_000)
    const settled = await this.#clock.run(healing, () => this.#everythingSettled())
    if (!settled) this.#unhealed.push(`not worked off ${healing} ms after the last fault: ${this.#backlog()}`)
    await this.#clock.run(1_000)
    const probes = this.#requesters.map(async (requester) => {
      for (let partition = 0; partition < this.#plan.requestPartitions; partition++) {
        const code = await requester.ask(`probe-${partition}`, { timeout: 20_000, partition })
        if (code !== 'reply' && code !== 'MILENA_REMOTE_ERROR')
          this.#unhealed.push(`a request of ${requester.life} to partition ${partition} ended as ${code}`)
      }
    })
    let probed = false
    void Promise.all(probes).then(() => (probed = true))
    if (!(await this.#clock.run(healing, () => probed))) this.#unhealed.push('a request has no outcome')
    await this.#clock.run(1_000)
  }

  #everythingSettled(): boolean {
    const up =
      this.#requesters.every(({ running }) => running) && this.#repliers.some(({ running }) => running)
    return (
      up && this.#backlog() === '' && this.#requesters.every(({ running }) => running!.stats().pending === 0)
    )
  }

  /** Partitions of which not everything is committed. */
  #backlog(): string {
    const committed = new Map(
      this.#broker.committed(groupId).map(({ partition, offset }) => [partition, offset]),
    )
    const ends = new Map<number, number>()
    for (const { partition, offset } of this.#broker.records(requestTopic)) ends.set(partition, offset + 1)
    return [...ends]
      .filter(([partition, end]) => committed.get(partition) !== end)
      .map(([partition, end]) => `partition ${partition} at ${committed.get(partition)} of ${end}`)
      .join(', ')
  }

  async #closeAll(): Promise<void> {
    this.#over = true
    let closed = false
    void Promise.all(this.#processes.map((process) => process.close())).then(() => (closed = true))
    if (!(await this.#clock.run(healing, () => closed))) this.#unhealed.push('closing does not end')
    // What is left are the sessions of members that are gone; nobody sets a timer any more.
    await this.#clock.run(healing)
    if (this.#clock.timers > 0) this.#unhealed.push(`${this.#clock.timers} timers are left after closing`)
  }

  #replies(): Map<string, string> {
    return new Map(
      this.#broker.records(replyTopic).flatMap((record) => {
        const correlation = springProfile.readCorrelation(record.headers)
        return correlation === undefined ? [] : [[placeOf(record), correlation.toString('hex')] as const]
      }),
    )
  }

  #log(): LoggedRequest[] {
    return this.#broker.records(requestTopic).map(({ partition, offset, value, headers }) => {
      const { id, key } = JSON.parse(String(value)) as Work
      return {
        id,
        key,
        partition,
        offset,
        correlationId: springProfile.readCorrelation(headers)!.toString('hex'),
      }
    })
  }
}
