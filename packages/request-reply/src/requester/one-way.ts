/**
 * Requests that nobody waits for: no correlation id, no reply address, and their outcome is that of their record.
 *
 *   prepared ──▶ on its way ──acknowledged by all in-sync replicas──▶ its position
 *                  ├── refused, or taken back ──▶ an error with sent: 'no'
 *                  └── in doubt, given up on its way ──▶ an error with sent: 'unknown'
 */
import type { Clock } from '../clock.ts'
import type { AnyOperation } from '../contract/operation.ts'
import { sendEnded, sendTracing, type SendTrace } from '../diagnostics.ts'
import { MilenaError, TransportError, type ErrorDetails } from '../errors.ts'
import type { OutgoingRecord, RecordPosition, Transport } from '../transport/transport.ts'
import { wordsOf } from '../words.ts'
import type { Caps } from './caps.ts'
import { Drain } from './drain.ts'
import type { FurtherHeaders } from './further-headers.ts'
import { cancelledBefore, reasonOf } from './outcome-errors.ts'
import type { PendingReply } from './pending.ts'
import { withinDeadline } from './read-options.ts'
import { recordBytes, type RequestEncoder } from './request-record.ts'
import { isAborted, listen } from './signals.ts'
import type { OneWayCounts } from './stats.ts'
import type { TopicDirectory } from './topic-directory.ts'

export interface OneWayOptions {
  readonly transport: Transport
  readonly instanceId: string
  readonly clock: Clock
  readonly encoder: RequestEncoder
  readonly further: FurtherHeaders
  readonly caps: Caps
  readonly topics: TopicDirectory
}

/** The error of one that is given up, by what is known of it then. */
type GivenUp = (sent: 'no' | 'unknown') => MilenaError

/** One that the transport has. */
interface Flight {
  readonly operation: AnyOperation
  readonly record: OutgoingRecord
  readonly bytes: number
  readonly begunAt: number
  trace: SendTrace | undefined
  unlisten: (() => void) | undefined
  /** Why its caller does not wait any more. */
  givenUp: GivenUp | undefined
  resolve(position: RecordPosition): void
  reject(error: Error): void
}

export class OneWay {
  readonly #options: OneWayOptions
  readonly #flights = new Set<Flight>()
  readonly #drain: Drain
  readonly #counts = { accepted: 0, acknowledged: 0, failed: 0 }
  #bytes = 0

  constructor(options: OneWayOptions) {
    this.#options = options
    this.#drain = new Drain(options.clock)
  }

  /** How many the transport has not let go of, and their bytes. */
  get size(): number {
    return this.#flights.size
  }

  get bytes(): number {
    return this.#bytes
  }

  get counts(): OneWayCounts {
    return { ...this.#counts }
  }

  /** Resolves when nothing is on its way, at the latest after `timeout` ms. */
  drain(timeout: number): Promise<void> {
    return this.#flights.size === 0 ? Promise.resolve() : this.#drain.wait(timeout)
  }

  /** Gives up what is on its way. */
  close(): void {
    for (const flight of this.#flights) this.#giveUp(flight, abandoned(flight.operation))
  }

  /** Sends what was prepared. @throws MilenaError of what keeps it from being accepted */
  send(pending: PendingReply): Promise<RecordPosition> {
    if (!sendTracing.hasSubscribers) return this.#begin(pending, undefined)
    const { name, topic } = pending.operation
    const trace: SendTrace = { operation: name, topic, instanceId: this.#options.instanceId, headers: [] }
    return sendTracing.start.runStores(trace, () => {
      try {
        return this.#begin(pending, trace)
      } catch (error) {
        trace.error = error
        sendTracing.error.publish(trace)
        throw error
      } finally {
        sendTracing.end.publish(trace)
      }
    })
  }

  #begin(pending: PendingReply, trace: SendTrace | undefined): Promise<RecordPosition> {
    const { encoder, further, caps, clock, topics } = this.#options
    const { operation } = pending
    let record: OutgoingRecord
    try {
      const now = clock.now()
      const left = pending.deadline === undefined ? undefined : withinDeadline(pending, Infinity, now)
      record = encoder.encodeOneWay(pending, further.of(pending, undefined, trace), now, left)
    } catch (error) {
      topics.doubt(operation.topic, error)
      throw error
    }
    const bytes = recordBytes(record.key, record.value, record.headers)
    if (isAborted(pending)) throw cancelledBefore(operation, reasonOf(pending.signal))
    caps.check(operation, bytes)
    const { promise, resolve, reject } = Promise.withResolvers<RecordPosition>()
    const begunAt = clock.monotonic()
    const flight: Flight = {
      operation,
      record,
      bytes,
      begunAt,
      trace,
      unlisten: undefined,
      givenUp: undefined,
      resolve,
      reject,
    }
    // It may throw: so nothing was begun before it.
    flight.unlisten = listen(pending, () => this.#giveUp(flight, cancelled(operation, pending.signal)))
    this.#flights.add(flight)
    this.#counts.accepted++
    this.#bytes += bytes
    caps.take(bytes)
    void this.#carry(flight)
    return promise
  }

  /** Never rejects. */
  async #carry(flight: Flight): Promise<void> {
    const { transport, topics } = this.#options
    const { operation, record } = flight
    try {
      const position = await transport.send(record)
      this.#letGo(flight)
      this.#counts.acknowledged++
      this.#tell(flight, position, undefined)
      flight.resolve(position)
    } catch (thrown) {
      this.#letGo(flight)
      this.#counts.failed++
      const error =
        flight.givenUp === undefined ? failed(operation, thrown) : flight.givenUp(sentAfter(thrown))
      if (flight.givenUp === undefined && error.sent === 'no' && thrown instanceof TransportError)
        topics.doubt(operation.topic, thrown)
      this.#tell(flight, undefined, error)
      flight.reject(error)
    }
  }

  /** What is not on the wire yet is taken back; of what is, nobody waits to hear. */
  #giveUp(flight: Flight, givenUp: GivenUp): void {
    if (flight.givenUp !== undefined) return
    flight.givenUp = givenUp
    let takenBack = false
    try {
      takenBack = this.#options.transport.withdraw(flight.record)
    } catch {
      // Then it may be on its way.
    }
    if (!takenBack) flight.reject(givenUp('unknown'))
  }

  #letGo(flight: Flight): void {
    flight.unlisten?.()
    this.#flights.delete(flight)
    this.#bytes -= flight.bytes
    this.#options.caps.letGo(flight.bytes)
    if (this.#flights.size === 0) this.#drain.empty()
  }

  #tell(flight: Flight, position: RecordPosition | undefined, error: MilenaError | undefined): void {
    const { instanceId, clock } = this.#options
    const { operation, bytes, trace } = flight
    if (sendEnded.hasSubscribers) {
      const { name, topic } = operation
      const duration = clock.monotonic() - flight.begunAt
      sendEnded.publish({ operation: name, topic, instanceId, position, bytes, duration, error })
    }
    if (trace === undefined) return
    if (error === undefined) trace.result = position
    else {
      trace.error = error
      sendTracing.error.publish(trace)
    }
    sendTracing.asyncStart.publish(trace)
    sendTracing.asyncEnd.publish(trace)
  }
}

function cancelled({ name }: AnyOperation, signal: AbortSignal | undefined): GivenUp {
  const cause = reasonOf(signal)
  return (sent) => {
    const known = sent === 'no' ? 'it was taken back before it was sent' : 'whether it was sent is not known'
    const message = `operation ${name}: cancelled by the caller; ${known}`
    return new MilenaError('MILENA_CANCELLED', message, { ...factsAfter(sent), cause })
  }
}

function abandoned({ name }: AnyOperation): GivenUp {
  const message = `operation ${name}: the requester was closed before the brokers had acknowledged it`
  return (sent) => new MilenaError('MILENA_ABANDONED', message, factsAfter(sent))
}

function factsAfter(sent: 'no' | 'unknown'): ErrorDetails {
  return sent === 'no' ? { sent, outcomeKnown: true, effect: 'none', retryable: true } : { sent }
}

/** What the transport says of one that was given up may be more than was known then. */
function sentAfter(thrown: unknown): 'no' | 'unknown' {
  return thrown instanceof TransportError && thrown.sent === 'no' ? 'no' : 'unknown'
}

/** The transport's own error, about this record; whatever else it is says nothing. */
function failed({ name }: AnyOperation, thrown: unknown): MilenaError {
  if (!(thrown instanceof TransportError))
    return new TransportError('MILENA_SEND_UNKNOWN', `operation ${name}: ${wordsOf(thrown)}`, {
      cause: thrown,
    })
  const { code, message, sent, outcomeKnown, retryable, effect } = thrown
  const facts = { sent, outcomeKnown, retryable, effect, cause: thrown }
  return new TransportError(code, `operation ${name}: ${message}`, facts)
}
