/**
 * A client's connection to the in-memory broker: everything between the two goes through it, later, by the clock.
 */
import type { Clock, ScheduledTimer } from '../../clock.ts'

export class Link {
  readonly clientId: string
  readonly clock: Clock
  #latency: number
  #cutUntil = 0
  #alive = true

  constructor(clientId: string, clock: Clock, latency: number) {
    this.clientId = clientId
    this.clock = clock
    this.#latency = latency
  }

  get alive(): boolean {
    return this.#alive
  }

  /** Milliseconds until the connection is back; 0 when it is there. */
  get cutFor(): number {
    return Math.max(0, this.#cutUntil - this.clock.monotonic())
  }

  /** Nothing passes for this long; what is on its way waits. */
  cut(milliseconds: number): void {
    this.#cutUntil = Math.max(this.#cutUntil, this.clock.monotonic() + milliseconds)
  }

  /** Nothing passes any more, and nothing that was on its way arrives. */
  end(): void {
    this.#alive = false
  }

  /** Runs after the latency and `delay`, and not before a cut is over; never once the link has ended. */
  after(delay: number, run: () => void): ScheduledTimer {
    let timer: ScheduledTimer
    const arrive = (): void => {
      if (!this.#alive) return
      if (this.cutFor > 0) timer = this.clock.schedule(this.cutFor, arrive)
      else run()
    }
    timer = this.clock.schedule(this.#latency + delay, arrive)
    return { cancel: () => timer.cancel() }
  }
}

/** Something on its way. */
export class Parcel {
  readonly due: number
  #run: (() => void) | undefined

  constructor(due: number, run: () => void) {
    this.due = due
    this.#run = run
  }

  /** It never arrives, and nothing of it is kept; what comes behind it comes as it would have. */
  takeOut(): void {
    this.#run = undefined
  }

  arrive(): void {
    this.#run?.()
  }
}

/** One direction of a connection: what goes in first comes out first, whatever the delay of each. */
export class OrderedCalls {
  readonly #link: Link
  #parcels: Parcel[] = []
  #moving = false

  constructor(link: Link) {
    this.#link = link
  }

  push(delay: number, run: () => void): Parcel {
    const last = this.#parcels.at(-1)
    const due = Math.max(this.#link.clock.monotonic() + delay, last?.due ?? 0)
    const parcel = new Parcel(due, run)
    this.#parcels.push(parcel)
    this.#move()
    return parcel
  }

  #move(): void {
    const head = this.#parcels[0]
    if (this.#moving || head === undefined) return
    this.#moving = true
    this.#link.after(Math.max(0, head.due - this.#link.clock.monotonic()), () => {
      this.#moving = false
      const arrived = this.#takeArrived()
      this.#move()
      for (const parcel of arrived) parcel.arrive()
    })
  }

  /** The head, whose timer has just fired, and what is due with it. */
  #takeArrived(): Parcel[] {
    const now = this.#link.clock.monotonic()
    let count = 1
    while (count < this.#parcels.length && this.#parcels[count]!.due <= now) count++
    return this.#parcels.splice(0, count)
  }
}
