import type { Clock } from '../src/clock.ts'
import { Warnings, type Logger } from '../src/warnings.ts'

/** Warnings of somebody called test. @param warn default: they go nowhere */
export function warningsOf(clock: Clock, warn: Logger['warn'] = () => undefined): Warnings {
  return new Warnings({ who: 'test', always: {}, logger: { warn }, clock })
}
