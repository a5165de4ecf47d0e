/**
 * What happened, in the order in which it happened, written by observers outside the system under test.
 */
import { createHash } from 'node:crypto'
import type { Effect, SentState } from '../../packages/request-reply/src/error-facts.ts'

/** A requester process's life: one name may have several, one after the other. */
export type Life = string

export type HappeningBody =
  /** A request was given to a requester. */
  | {
      readonly what: 'asked'
      readonly id: string
      readonly life: Life
      readonly key: string
      readonly hash: string
      readonly timeout: number
    }
  /** The promise of a request was settled. `hash` is that of the request which the reply answers, as the replier says. */
  | {
      readonly what: 'outcome'
      readonly id: string
      readonly code: string
      readonly sent: SentState
      /** What the caller was told of the effect; `done` for a reply. */
      readonly effect?: Effect | undefined
      readonly hash?: string | undefined
    }
  /** A late reply was handed over: `code` and `effect` where it was an error. */
  | {
      readonly what: 'late'
      readonly id: string
      readonly hash?: string | undefined
      readonly code?: string | undefined
      readonly effect?: Effect | undefined
    }
  /** The brokers acknowledged a request. */
  | {
      readonly what: 'acknowledged'
      readonly correlationId: string
      readonly partition: number
      readonly offset: number
    }
  /**
   * A handler came to its end: the work was done, or it was refused for good; `touched`: something was done outside. `zombie`: the replier no longer had the
   * partition, or had lost it in between. `place`: where the request stands.
   */
  | {
      readonly what: 'handled'
      readonly id: string
      readonly key: string
      readonly place: string
      readonly worker: Life
      readonly done: boolean
      readonly touched: boolean
      readonly zombie: boolean
    }
  /** Whoever handled and answered the request there has had its partition, and quiet, for long enough since to commit that. */
  | { readonly what: 'kept'; readonly place: string }
  /** A reply left a replier; `code` when it is an error. */
  | { readonly what: 'replied'; readonly correlationId: string; readonly code: string | undefined }
  /** The brokers acknowledged a reply. */
  | {
      readonly what: 'answered'
      readonly correlationId: string
      readonly topic: string
      readonly partition: number
      readonly offset: number
    }
  /** A replier cannot answer a request. */
  | { readonly what: 'passed over'; readonly correlationId: string | undefined; readonly reason: string }
  /** A process began or ended, or something was done to it. */
  | { readonly what: 'process'; readonly name: string; readonly event: string }

export type Happening = HappeningBody & { readonly at: number }

export class History {
  readonly happenings: Happening[] = []
  readonly #now: () => number

  constructor(now: () => number) {
    this.#now = now
  }

  add(happening: HappeningBody): void {
    this.happenings.push({ ...happening, at: this.#now() })
  }

  /** Equal histories, equal hashes. */
  hash(): string {
    const hash = createHash('sha256')
    for (const happening of this.happenings) hash.update(`${JSON.stringify(happening)}\n`)
    return hash.digest('hex').slice(0, 16)
  }
}

export function hashOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16)
}
