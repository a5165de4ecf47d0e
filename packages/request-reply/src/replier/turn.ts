import type { IncomingRecord } from '../transport/transport.ts'
import type { Addressee } from './addressee.ts'
import type { RequestContext } from './context.ts'
import type { Handling } from './dispatch.ts'
import type { Outcome } from './outcome.ts'
import type { Handled, RequestRun } from './run.ts'

/** One try to handle a record: what was found out of it so far, and in the end its outcome. */
export class Turn implements Handled {
  readonly run: RequestRun
  readonly record: IncomingRecord
  readonly attempt: number
  readonly correlationId: Buffer | undefined
  readonly to: Addressee | undefined
  readonly handling: Handling | undefined
  readonly context: RequestContext
  /** Why it goes no further than the record middleware. */
  readonly refused: Outcome | undefined
  outcome: Outcome
  /** What the handler, or a middleware, has thrown. */
  error: unknown = undefined

  constructor(
    run: RequestRun,
    correlationId: Buffer | undefined,
    to: Addressee | undefined,
    handling: Handling | undefined,
    context: RequestContext,
    refused: Outcome | undefined,
  ) {
    this.run = run
    this.record = run.record
    this.attempt = run.attempt
    this.correlationId = correlationId
    this.to = to
    this.handling = handling
    this.context = context
    this.refused = refused
    this.outcome = refused ?? abandoned
  }
}

/** Nothing is said of a record whose partition is somebody else's by now. */
export const abandoned: Outcome = { kind: 'abandoned' }
