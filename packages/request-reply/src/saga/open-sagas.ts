import type { RecordMiddleware } from '../replier/record-middleware.ts'
import type { SagaHealth } from './health.ts'
import { readSagasOptions, type SagasOptions, type SagasSettings } from './options.ts'
import type { SagaRun } from './runs.ts'
import type { StepOutcome, Sagas } from './sagas.ts'
import type { SagaStatus } from './status.ts'
import type { SagaCounts, SagaPage } from './store.ts'

/** Not yet. */
export class OpenSagas implements Sagas {
  readonly replies: RecordMiddleware = (_, next) => next()
  constructor(settings: SagasSettings) {
    void settings
  }
  start(): Promise<void> {
    throw new Error('not yet')
  }
  run(): Promise<SagaRun<never>> {
    throw new Error('not yet')
  }
  get(): Promise<SagaStatus | undefined> {
    throw new Error('not yet')
  }
  list(): Promise<SagaPage> {
    throw new Error('not yet')
  }
  watch(): AsyncIterable<SagaStatus> {
    throw new Error('not yet')
  }
  stats(): Promise<SagaCounts> {
    throw new Error('not yet')
  }
  health(): SagaHealth {
    throw new Error('not yet')
  }
  complete(_id: string, _step: string, _outcome: StepOutcome): Promise<boolean> {
    throw new Error('not yet')
  }
  retryNow(): Promise<boolean> {
    throw new Error('not yet')
  }
  close(): Promise<void> {
    throw new Error('not yet')
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** @throws OptionsError `MILENA_OPTIONS_INVALID`, listing every problem */
export function createSagas<Transaction>(options: SagasOptions<Transaction>): Sagas {
  return new OpenSagas(readSagasOptions(options))
}
