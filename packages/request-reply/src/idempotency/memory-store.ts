import { systemClock, type Clock } from '../clock.ts'
import { decodeStoredOutcome, encodeStoredOutcome, type StoredOutcome } from '../contract/stored-outcome.ts'
import { MilenaError, OptionsError } from '../errors.ts'
import { problemsOfParts, unknownOptions } from '../given.ts'
import { said } from '../words.ts'
import type { Claim, ClaimOptions, Found, IdempotencyId, IdempotencyStore } from './store.ts'

export interface MemoryIdempotencyStoreOptions {
  /** The most keys that it knows; default 100 000. */
  readonly maxEntries?: number
  /** The most bytes that they take, with their outcomes and 200 for each; default 64 MiB. */
  readonly maxBytes?: number
  /** For simulations; default: the machine's. */
  readonly clock?: Clock
}

/** An idempotency store in this process: for tests, and for repliers that are one process and may forget at its end. */
export interface MemoryIdempotencyStore extends IdempotencyStore {
  stats(): MemoryIdempotencyStoreStats
}

export interface MemoryIdempotencyStoreStats {
  /** Keys that are known, and how many of them somebody is at work on. */
  readonly entries: number
  readonly running: number
  readonly bytes: number
  /** How many were dropped before their time to make room. */
  readonly dropped: number
}

interface Entry {
  readonly key: string
  state: 'claimed' | 'stored' | 'released'
  fingerprint: string
  token: number
  owner: string
  /** As the store's clock's `now`. */
  leaseEnds: number
  changedAt: number
  ttl: number
  outcome: Buffer | undefined
  bytes: number
}

/** What an entry takes beside its texts and its outcome, in bytes, about. */
const perEntry = 200
const known: ReadonlySet<string> = new Set<keyof MemoryIdempotencyStoreOptions>([
  'maxEntries',
  'maxBytes',
  'clock',
])

/**
 * **Guarantee**: that of `IdempotencyStore`, for as long as this process lives. Beyond its bounds it forgets what was
 * changed longest ago, and `knowsSince` says so; never a claim whose lease is not over. When only such are left, `claim`
 * rejects, so that their partitions wait.
 *
 * **Not guaranteed**: anything after a restart, or to another process.
 *
 * @throws OptionsError that lists every problem
 */
export function memoryIdempotencyStore(options: MemoryIdempotencyStoreOptions = {}): MemoryIdempotencyStore {
  const problems = [...unknownOptions('memoryIdempotencyStore', options, known), ...problemsOfParts(options)]
  const { maxEntries = 100_000, maxBytes = 64 * 1024 * 1024, clock = systemClock } = options
  for (const [name, value] of Object.entries({ maxEntries, maxBytes })) {
    if (!Number.isSafeInteger(value) || value < 1)
      problems.push(`${name} must be a whole number from 1 on, not ${said(value)}`)
  }
  if (problems.length > 0) throw new OptionsError('memoryIdempotencyStore', problems)
  return new MemoryStore(maxEntries, maxBytes, clock)
}

class MemoryStore implements MemoryIdempotencyStore {
  readonly #maxEntries: number
  readonly #maxBytes: number
  readonly #clock: Clock
  /** In the order in which they were changed, the longest ago first. */
  readonly #entries = new Map<string, Entry>()
  #bytes = 0
  #token = 0
  #knowsSince: number
  #dropped = 0

  constructor(maxEntries: number, maxBytes: number, clock: Clock) {
    this.#maxEntries = maxEntries
    this.#maxBytes = maxBytes
    this.#clock = clock
    this.#knowsSince = clock.now()
  }

  async claim(id: IdempotencyId, options: ClaimOptions): Promise<Claim> {
    const { fingerprint, owner, lease, ttl, replacing } = options
    const now = this.#clock.now()
    const key = keyOf(id)
    const entry = this.#at(key, now)
    if (entry !== undefined) {
      if (entry.fingerprint !== fingerprint) return { kind: 'mismatch' }
      if (entry.state === 'claimed' && entry.leaseEnds > now)
        return { kind: 'running', owner: entry.owner, remaining: entry.leaseEnds - now }
      if (entry.state === 'stored' && entry.token !== replacing) return stored(entry)
    }
    const token = ++this.#token
    const leaseEnds = now + lease
    const bytes = perEntry + 2 * (key.length + owner.length)
    this.#makeRoom(entry, bytes, now)
    this.#put({
      key,
      state: 'claimed',
      fingerprint,
      token,
      owner,
      leaseEnds,
      changedAt: now,
      ttl,
      outcome: undefined,
      bytes,
    })
    return { kind: 'claimed', token, again: entry !== undefined }
  }

  async renew(id: IdempotencyId, token: number, lease: number): Promise<boolean> {
    const now = this.#clock.now()
    const entry = this.#held(id, token, now)
    if (entry === undefined) return false
    entry.leaseEnds = now + lease
    entry.changedAt = now
    this.#put(entry)
    return true
  }

  async complete(
    id: IdempotencyId,
    token: number,
    outcome: StoredOutcome,
    ttl: number,
  ): Promise<'completed' | 'fenced'> {
    const now = this.#clock.now()
    const entry = this.#at(keyOf(id), now)
    if (entry?.token !== token || entry.state === 'released') return 'fenced'
    if (entry.state === 'stored') return 'completed'
    const bytes = encodeStoredOutcome(outcome)
    this.#put({
      ...entry,
      state: 'stored',
      outcome: bytes,
      changedAt: now,
      ttl,
      bytes: entry.bytes + bytes.length,
    })
    this.#shrink(now)
    return 'completed'
  }

  async release(id: IdempotencyId, token: number, trace: boolean): Promise<void> {
    const now = this.#clock.now()
    const entry = this.#held(id, token, now)
    if (entry === undefined) return
    if (trace) this.#put({ ...entry, state: 'released', changedAt: now })
    else this.#remove(entry)
  }

  async find(id: IdempotencyId): Promise<Found> {
    const now = this.#clock.now()
    const entry = this.#at(keyOf(id), now)
    if (entry === undefined) {
      this.#expire(now)
      return { kind: 'nothing', knowsSince: this.#knowsSince }
    }
    if (entry.state === 'stored') return stored(entry)
    if (entry.state === 'released') return { kind: 'released' }
    if (entry.leaseEnds <= now) return { kind: 'lapsed' }
    return { kind: 'running', owner: entry.owner, remaining: entry.leaseEnds - now }
  }

  stats(): MemoryIdempotencyStoreStats {
    const now = this.#clock.now()
    this.#expire(now)
    const running = [...this.#entries.values()].filter((entry) => isRunning(entry, now)).length
    return { entries: this.#entries.size, running, bytes: this.#bytes, dropped: this.#dropped }
  }

  /** What is known of a key, unless its time is over. */
  #at(key: string, now: number): Entry | undefined {
    const entry = this.#entries.get(key)
    if (entry === undefined || !isOver(entry, now)) return entry
    this.#forget(entry)
    return undefined
  }

  #held(id: IdempotencyId, token: number, now: number): Entry | undefined {
    const entry = this.#at(keyOf(id), now)
    return entry?.state === 'claimed' && entry.token === token ? entry : undefined
  }

  #put(entry: Entry): void {
    const before = this.#entries.get(entry.key)
    if (before !== undefined) this.#remove(before)
    this.#entries.set(entry.key, entry)
    this.#bytes += entry.bytes
  }

  #remove(entry: Entry): void {
    this.#entries.delete(entry.key)
    this.#bytes -= entry.bytes
  }

  /** From here on it cannot be said of a key that it never was here. */
  #forget(entry: Entry): void {
    this.#remove(entry)
    this.#knowsSince = Math.max(this.#knowsSince, entry.changedAt + 1)
  }

  /** Of those that were changed longest ago, those whose time is over. */
  #expire(now: number): void {
    for (const entry of this.#entries.values()) {
      if (isRunning(entry, now)) continue
      if (!isOver(entry, now)) return
      this.#forget(entry)
    }
  }

  #makeRoom(replaced: Entry | undefined, bytes: number, now: number): void {
    this.#expire(now)
    const more = replaced === undefined ? 1 : 0
    const change = bytes - (replaced?.bytes ?? 0)
    if (this.#drop(more, change, now, replaced)) return
    const message =
      `the idempotency store in memory is full of requests that are being handled: ` +
      `${this.#entries.size} of ${this.#maxEntries} keys, ${this.#bytes} of ${this.#maxBytes} bytes`
    throw new MilenaError('MILENA_OVERLOADED', message)
  }

  /** An outcome must not be lost for its size: then it is others that go, or itself, at last. */
  #shrink(now: number): void {
    this.#drop(0, 0, now, undefined)
  }

  #drop(entries: number, bytes: number, now: number, spared: Entry | undefined): boolean {
    const fits = (): boolean =>
      this.#entries.size + entries <= this.#maxEntries && this.#bytes + bytes <= this.#maxBytes
    if (fits()) return true
    for (const entry of this.#entries.values()) {
      if (isRunning(entry, now) || entry === spared) continue
      this.#forget(entry)
      this.#dropped++
      if (fits()) return true
    }
    return false
  }
}

function isRunning(entry: Entry, now: number): boolean {
  return entry.state === 'claimed' && entry.leaseEnds > now
}

function isOver(entry: Entry, now: number): boolean {
  return !isRunning(entry, now) && entry.changedAt + entry.ttl <= now
}

function stored({ outcome, token, changedAt }: Entry): Claim & Found {
  return { kind: 'stored', outcome: decodeStoredOutcome(outcome!), token, storedAt: changedAt }
}

function keyOf({ scope, key }: IdempotencyId): string {
  return `${scope}\n${key}`
}
