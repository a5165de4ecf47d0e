/**
 * Gives requests to the transport, and takes them back when nobody waits for them any more.
 *
 *   given ──acknowledged──▶ sent        given ──anything else──▶ in doubt: the deadline decides
 *     ├─────certainly not─▶ ends the request, where the library has sent it
 *     └─────taken back────▶ certainly not sent
 */
import { requestSent } from '../diagnostics.ts'
import { MilenaError, TransportError } from '../errors.ts'
import type { OutgoingRecord, RecordPosition, Transport } from '../transport/transport.ts'
import type { Caps } from './caps.ts'
import { unsent } from './outcome-errors.ts'
import { factsOf, stepOf, type PendingReply } from './pending.ts'

export interface DispatcherOptions {
  readonly transport: Transport
  readonly instanceId: string
  readonly caps: Caps
  /** The request is certainly not in the log. */
  onUnsent(pending: PendingReply, error: TransportError): void
  /** A send was refused: the topic may not be what it was. */
  onRefused(topic: string, error: TransportError): void
}

export class Dispatcher {
  readonly #options: DispatcherOptions
  #sending = 0
  #sendingBytes = 0

  constructor(options: DispatcherOptions) {
    this.#options = options
  }

  /** How many dispatches the transport has not let go of, and their bytes. */
  get sending(): number {
    return this.#sending
  }

  get sendingBytes(): number {
    return this.#sendingBytes
  }

  /** Sends it; whatever becomes of that is the request's outcome, or not yet. Never throws. */
  send(pending: PendingReply): void {
    const record = this.#begin(pending)
    const attempt = pending.attempts
    try {
      this.#options.transport.send(record).then(
        (position) => this.#sent(pending, position, attempt),
        (thrown: unknown) => this.#failed(pending, thrown),
      )
    } catch (thrown) {
      this.#failed(pending, thrown)
    }
  }

  /** As `PendingRequest.dispatch`. */
  async dispatch(pending: PendingReply): Promise<RecordPosition> {
    if (pending.stage !== 'pending') throw hasEnded(pending)
    const record = this.#begin(pending)
    const attempt = pending.attempts
    try {
      const position = await this.#options.transport.send(record)
      this.#sent(pending, position, attempt)
      return position
    } catch (thrown) {
      this.#failed(pending, thrown)
      throw isUnsent(thrown) ? unsent(pending, thrown) : thrown
    }
  }

  /** Takes back what is not on the wire yet of a request that is given up. */
  withdraw(pending: PendingReply): void {
    if (pending.inFlight === 0) return
    for (const record of [pending.record!, ...(pending.further ?? [])]) {
      if (!this.#withdrawn(record)) continue
      pending.takenBack++
      this.#release(pending)
    }
  }

  #begin(pending: PendingReply): OutgoingRecord {
    let record = pending.record!
    if (pending.attempts > 0) {
      record = { ...record }
      ;(pending.further ??= []).push(record)
    }
    pending.attempts++
    pending.inFlight++
    this.#sending++
    this.#sendingBytes += pending.bytes
    return record
  }

  #sent(pending: PendingReply, position: RecordPosition, attempt: number): void {
    this.#release(pending)
    pending.acknowledged = true
    pending.position ??= position
    if (requestSent.hasSubscribers) {
      const { bytes } = pending
      requestSent.publish({ ...stepOf(pending, this.#options.instanceId), position, attempt, bytes })
    }
  }

  #failed(pending: PendingReply, thrown: unknown): void {
    const certain = isUnsent(thrown)
    if (certain && pending.takenBack > 0) {
      pending.takenBack--
      return
    }
    this.#release(pending)
    if (certain) {
      this.#options.onRefused(pending.operation.topic, thrown)
      if (!pending.staged) this.#options.onUnsent(pending, thrown)
    } else {
      pending.doubtful = true
      pending.problem = thrown
    }
  }

  #release(pending: PendingReply): void {
    pending.inFlight--
    this.#sending--
    this.#sendingBytes -= pending.bytes
    if (pending.inFlight === 0 && pending.stage === 'ended' && !pending.held)
      this.#options.caps.letGo(pending.bytes)
  }

  #withdrawn(record: OutgoingRecord): boolean {
    try {
      return this.#options.transport.withdraw(record)
    } catch {
      return false
    }
  }
}

/** Whatever else it is, it says nothing: the record may be in the log. */
function isUnsent(thrown: unknown): thrown is TransportError {
  return thrown instanceof TransportError && thrown.sent === 'no'
}

function hasEnded(pending: PendingReply): MilenaError {
  const message = `operation ${pending.operation.name}: the request has its outcome, and is not sent again`
  return new MilenaError('MILENA_NOT_SENT', message, { retryable: false, request: factsOf(pending) })
}
