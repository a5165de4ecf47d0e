/** What lasts and keeps a member from its place: told once, with its beginning and its end. */
import { TransportError } from '../../../errors.ts'
import { errorOf } from '../../../words.ts'
import type { GroupOptions } from '../../transport.ts'
import { Troubles, troubleKind } from '../../troubles.ts'
import { coordinatorUnready } from '../cluster/coordinator.ts'

/** Milliseconds without a coordinator after which that is reported: no election takes as long. */
const SILENCE = 30_000

export interface CoordinatorSilence {
  /** Milliseconds. */
  readonly lasted: number
  readonly cause: unknown
}

export class MemberTroubles {
  readonly list: Troubles
  readonly #options: GroupOptions
  /** When a coordinator last answered as one. */
  #answeredAt = performance.now()
  /** Why the last request went wrong. */
  #failure: unknown
  #toldWaiting = false

  constructor(options: GroupOptions) {
    this.#options = options
    this.list = new Troubles(options)
  }

  /** A coordinator's answer; it is none as long as it is not ready to be that. */
  answered(code: number): void {
    if (!coordinatorUnready.has(code)) this.heard()
  }

  /** That no coordinator answered before says nothing: it has, or this process was held up. */
  heard(): void {
    this.#answeredAt = performance.now()
  }

  /** The coordinator knows this member. */
  known(): void {
    this.heard()
    this.list.end('coordinator')
  }

  /** A request failed, or was refused for now. */
  unserved(error: unknown): void {
    this.#failure = error
  }

  /** For how many milliseconds no coordinator has answered as one, and why. */
  silence(now: number): CoordinatorSilence {
    return { lasted: now - this.#answeredAt, cause: this.#failure }
  }

  /** A request failed: a trouble when trying again does not mend it, or when that has gone on for long. */
  failed(error: unknown): void {
    if (error instanceof TransportError && !error.retryable) return this.#begin('coordinator', error)
    const silent = performance.now() - this.#answeredAt
    if (silent <= SILENCE) return
    const text = `group ${this.#options.groupId}: no coordinator has answered for ${SILENCE} ms`
    const silence = new TransportError('MILENA_BROKER_UNREACHABLE', text, { cause: error })
    this.#begin('coordinator', silence, silent)
  }

  /** The start waits for the group's other members: told once. */
  waits(waited: number, sessionTimeout: number): void {
    if (this.#toldWaiting) return
    this.#toldWaiting = true
    try {
      this.#options.onWaiting?.({ waited, sessionTimeout })
    } catch (error) {
      this.#options.onError?.(errorOf(error))
    }
  }

  placeLost(error: TransportError): void {
    this.#begin('place', error)
  }

  placeFound(): void {
    this.list.end('place')
  }

  transportClosed(): void {
    const text = `group ${this.#options.groupId}: the transport was closed`
    const error = new TransportError('MILENA_CLOSED', text)
    this.list.begin('transport', { kind: 'closed', since: Date.now(), error })
  }

  /** The member is closed: what is left is what does not end. */
  end(fenced: boolean): void {
    this.list.endAllBut('transport', fenced ? 'place' : '')
  }

  /** One that lasts, told once; it began `ago` milliseconds before now. */
  #begin(cause: string, error: TransportError, ago = 0): void {
    const since = Math.round(Date.now() - ago)
    if (this.list.begin(cause, { kind: troubleKind(error), since, error })) this.#options.onError?.(error)
  }
}
