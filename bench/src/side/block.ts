/** Runs one block at an asker: closed loop, or open loop on a schedule. */
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import type { Asker } from '../system.ts'
import { Latencies, type Quantiles } from './latencies.ts'
import { monotonic } from './monotonic.ts'
import type { PacerPlan, PacerPost } from './pacer-thread.ts'
import type { BlockPlan, BlockResult } from './protocol.ts'

/** Milliseconds after the block for answers that are still out. */
const grace = 10_000

export function runBlock(asker: Asker, plan: BlockPlan): Promise<BlockResult> {
  return plan.kind === 'closed' ? askInLoops(asker, plan) : askOnSchedule(asker, plan)
}

async function askInLoops(asker: Asker, plan: Extract<BlockPlan, { kind: 'closed' }>): Promise<BlockResult> {
  const tally = new Tally(monotonic() + plan.milliseconds)
  async function loop(): Promise<void> {
    for (let begun = monotonic(); begun < tally.end; begun = monotonic())
      await tally.follow(asker, begun, begun)
  }
  const loops = Promise.all(Array.from({ length: plan.inFlight }, loop))
  await within(plan.milliseconds + grace, loops)
  return tally.result(plan.milliseconds / 1000)
}

async function askOnSchedule(
  asker: Asker,
  { rate, milliseconds, seed }: Extract<BlockPlan, { kind: 'open' }>,
): Promise<BlockResult> {
  const workerData: PacerPlan = { rate, milliseconds, seed }
  const pacer = new Worker(new URL('pacer-thread.ts', import.meta.url), { workerData })
  // Until the thread has said when it begins: it takes tens of milliseconds to start, in which nothing is due yet.
  let tally = new Tally(Infinity)
  let lag: Quantiles | undefined
  // The thread may end while the last that were due are still being asked.
  let asking: Promise<unknown> = Promise.resolve()
  pacer.on('message', (said: PacerPost) => {
    if (typeof said === 'number') tally = new Tally(said + milliseconds)
    else if (Array.isArray(said)) asking = Promise.all([asking, askEach(said)])
    else lag = said as Quantiles
  })
  await once(pacer, 'exit')
  await asking
  await within(grace, tally.settled())
  return { ...tally.result(milliseconds / 1000), lag: lag! }

  async function askEach(due: readonly number[]): Promise<void> {
    for (const intended of due) {
      void tally.follow(asker, intended, monotonic())
      // A request that is refused at once gets its answer before the next one is made.
      await Promise.resolve()
    }
  }
}

/** What became of the round trips of a block. */
class Tally {
  /** On the `monotonic` clock. */
  readonly end: number
  readonly #latency = new Latencies()
  readonly #rejection = new Latencies()
  #asked = 0
  #inTime = 0
  #timeouts = 0
  #errors = 0
  #firstError: string | undefined
  #out = 0
  #onSettled: (() => void) | undefined

  constructor(end: number) {
    this.end = end
  }

  /**
   * Asks at `called`, and resolves when the round trip has ended, in whatever way. Its latency counts from `begun`, a
   * rejection's time from `called`.
   */
  async follow(asker: Asker, begun: number, called: number): Promise<void> {
    this.#asked++
    this.#out++
    try {
      const elsewhere = (await asker.ask()) ?? 0
      const now = monotonic()
      this.#latency.add(now - begun - elsewhere)
      if (now <= this.end) this.#inTime++
    } catch (error) {
      this.#fail(error, called)
    }
    this.#out--
    if (this.#out === 0) this.#onSettled?.()
  }

  #fail(error: unknown, called: number): void {
    const { name = '', code = '', message = '' } = error as { name?: string; code?: string; message?: string }
    const kind = `${name} ${code}`
    if (/overloaded/i.test(kind)) {
      this.#rejection.add(monotonic() - called)
      return
    }
    if (/time_?out/i.test(kind)) this.#timeouts++
    else this.#errors++
    this.#firstError ??= `${kind}: ${message}`
  }

  settled(): Promise<void> {
    if (this.#out === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onSettled = resolve
    })
  }

  result(seconds: number): BlockResult {
    return {
      seconds,
      asked: this.#asked,
      answered: this.#latency.count,
      perSecond: this.#inTime / seconds,
      timeouts: this.#timeouts + this.#out,
      rejected: this.#rejection.count,
      errors: this.#errors,
      ...(this.#firstError === undefined ? {} : { firstError: this.#firstError }),
      latency: this.#latency.quantiles(),
      ...(this.#rejection.count === 0 ? {} : { rejection: this.#rejection.quantiles() }),
    }
  }
}

async function within(milliseconds: number, done: Promise<unknown>): Promise<void> {
  const cancel = new AbortController()
  await Promise.race([done, sleep(milliseconds, undefined, { signal: cancel.signal }).catch(() => {})])
  cancel.abort()
}
