/**
 * When a recovered request without a reply is unknown: after its deadline, once all that stood in its reply topic by then
 * was read. Each reply topic is by itself: one that cannot be read holds up no request that is answered in another.
 */
import type { Clock, ScheduledTimer } from '../clock.ts'

export interface RecoveryDeadlinesOptions<Request> {
  readonly clock: Clock
  /** Resolves when replies that have come by now were handed over; bounded. */
  catchUp(): Promise<void>
  /** Whether it has neither a reply nor been told. */
  waits(request: Request): boolean
  /** It waits no longer. */
  onOver(request: Request): void
}

interface Topic<Request> {
  /** By their deadlines. */
  requests: Request[]
  timer: ScheduledTimer | undefined
}

export class RecoveryDeadlines<Request extends { readonly deadline: number }> {
  readonly #options: RecoveryDeadlinesOptions<Request>
  readonly #topics = new Map<string | undefined, Topic<Request>>()
  #stopped = false

  constructor(options: RecoveryDeadlinesOptions<Request>) {
    this.#options = options
  }

  /** @param replyTopic where it is answered; `undefined`: in the default one */
  add(replyTopic: string | undefined, request: Request): void {
    const topic = this.#topics.get(replyTopic)
    if (topic === undefined) this.#topics.set(replyTopic, { requests: [request], timer: undefined })
    else topic.requests.push(request)
  }

  /** @param caughtUp resolves when what stands in this reply topic's log now was handed over */
  begin(caughtUp: (replyTopic: string | undefined) => Promise<void>): void {
    for (const [name, topic] of this.#topics) {
      topic.requests = topic.requests.toSorted((one, other) => one.deadline - other.deadline)
      const expire = (): void => this.#expire(topic, 0)
      void caughtUp(name).then(expire, expire)
    }
  }

  stop(): void {
    this.#stopped = true
    for (const { timer } of this.#topics.values()) timer?.cancel()
    this.#topics.clear()
  }

  /** @param from those before had theirs */
  #expire(topic: Topic<Request>, from: number): void {
    if (this.#stopped) return
    const options = this.#options
    const now = options.clock.now()
    let next = from
    for (; next < topic.requests.length; next++) {
      const request = topic.requests[next]!
      if (!options.waits(request)) continue
      const left = request.deadline - now
      if (left > 0) {
        topic.timer = options.clock.schedule(Math.max(1, Math.ceil(left)), () => {
          void options.catchUp().then(() => this.#expire(topic, next))
        })
        return
      }
      options.onOver(request)
    }
    topic.requests = []
  }
}
