/** A relay's options with their defaults, read once. */
import { OptionsError, systemClock, type Clock } from '@milena/request-reply'
import { clockProblems, unknownOptions } from '../given.ts'
import type { RelayOptions } from './outbox.ts'

export interface RelaySettings {
  readonly pollInterval: number
  readonly claimTimeout: number
  readonly maxKeys: number
  readonly maxBytes: number
  readonly sendTimeout: number
  readonly maxPause: number
  readonly keep: number
  readonly clock: Clock
}

const longest = 24 * 3_600_000

const known: readonly (keyof RelayOptions)[] = [
  'kafka',
  'transport',
  'pollInterval',
  'claimTimeout',
  'maxKeys',
  'maxBytes',
  'sendTimeout',
  'maxPause',
  'keep',
  'clock',
]

/** @throws OptionsError that lists every problem. */
export function readRelayOptions(options: RelayOptions): RelaySettings {
  const problems = unknownOptions('relay', options, known)
  const settings: RelaySettings = {
    pollInterval: options.pollInterval ?? 1_000,
    claimTimeout: options.claimTimeout ?? 15_000,
    maxKeys: options.maxKeys ?? 200,
    maxBytes: options.maxBytes ?? 16 * 1024 * 1024,
    sendTimeout: options.sendTimeout ?? 5_000,
    maxPause: options.maxPause ?? 60_000,
    keep: options.keep ?? 0,
    clock: options.clock ?? systemClock,
  }
  if ((options.kafka === undefined) === (options.transport === undefined))
    problems.push('give either kafka: { brokers } or an open transport')
  problems.push(...clockProblems(options.clock))
  const bounds = {
    pollInterval: [1, longest],
    claimTimeout: [1, longest],
    maxKeys: [1, 10_000],
    maxBytes: [1, Number.MAX_SAFE_INTEGER],
    sendTimeout: [1, longest],
    maxPause: [1, longest],
    keep: [0, 10 * 366 * longest],
  } as const
  for (const [name, [least, most]] of Object.entries(bounds)) {
    const value = settings[name as keyof typeof bounds]
    if (!Number.isSafeInteger(value) || value < least || value > most)
      problems.push(`${name} must be a whole number from ${least} to ${most}`)
  }
  const { claimTimeout, pollInterval } = settings
  const areNumbers = typeof claimTimeout === 'number' && typeof pollInterval === 'number'
  if (areNumbers && claimTimeout < 3 * pollInterval)
    problems.push('claimTimeout must be at least three times pollInterval')
  if (problems.length > 0) throw new OptionsError('relay', problems)
  return settings
}
