import { systemClock, type Clock } from '../clock.ts'
import { OptionsError } from '../errors.ts'
import { problemsOfParts, unknownOptions } from '../given.ts'
import { waitingFor, type SagaStatus } from './status.ts'
import type {
  ClaimedSaga,
  SagaChanges,
  SagaClaim,
  SagaCounts,
  SagaFilter,
  SagaPage,
  SagaStore,
  SavedSaga,
} from './store.ts'

/** A transaction of `MemorySagaStore`: it can only be told what to do once it commits. */
export interface MemoryTransaction {
  /** Called once the change is made, and never if it is not. */
  onCommit(run: () => void): void
}

interface Kept {
  /** As JSON, so that nobody shares it. */
  text: string
  token: number
  version: number
  owner: string | undefined
  /** By the monotonic clock. */
  dueAt: number | undefined
  endedAt: number | undefined
  /** Its place among all changes. */
  change: number
  /** Its place among all that were begun. */
  readonly place: number
}

const known: ReadonlySet<string> = new Set(['clock'])

/** Sagas in memory: for tests, and for what may be lost with the process. */
export class MemorySagaStore implements SagaStore<MemoryTransaction> {
  readonly #clock: Clock
  readonly #sagas = new Map<string, Kept>()
  readonly #leases = new Map<string, number>()
  #changes = 0
  #places = 0

  constructor(options: { readonly clock?: Clock | undefined } = {}) {
    const problems = [...unknownOptions('MemorySagaStore', options, known), ...problemsOfParts(options)]
    if (problems.length > 0) throw new OptionsError('MemorySagaStore', problems)
    this.#clock = options.clock ?? systemClock
  }

  async create(
    status: SagaStatus,
    owner: string | undefined,
    write?: (transaction: MemoryTransaction) => void | Promise<void>,
  ): Promise<SagaClaim | { readonly existing: SagaStatus }> {
    const committed: (() => void)[] = []
    await write?.({ onCommit: (run) => void committed.push(run) })
    const existing = this.#sagas.get(status.id)
    if (existing !== undefined) return { existing: read(existing) }
    for (const run of committed) run()
    const token = owner === undefined ? 0 : 1
    this.#sagas.set(status.id, {
      text: JSON.stringify(status),
      token,
      version: 1,
      owner,
      dueAt: this.#clock.monotonic(),
      endedAt: undefined,
      change: ++this.#changes,
      place: ++this.#places,
    })
    return { id: status.id, token, version: 1 }
  }

  read(ids: readonly string[]): Promise<readonly SagaStatus[]> {
    const kept = ids.map((id) => this.#sagas.get(id)).filter((saga) => saga !== undefined)
    return Promise.resolve(kept.map(read))
  }

  waitingFor(correlationId: string): Promise<SagaStatus | undefined> {
    const found = this.#all().find((status) => waitingFor(status) === correlationId)
    return Promise.resolve(found)
  }

  claim(id: string, owner: string): Promise<ClaimedSaga | undefined> {
    const kept = this.#sagas.get(id)
    if (kept === undefined || kept.endedAt !== undefined) return Promise.resolve(undefined)
    if (!this.#isFree(kept, owner)) return Promise.resolve(undefined)
    return Promise.resolve(this.#take(id, kept, owner))
  }

  claimDue(owner: string, sagas: readonly string[], limit: number): Promise<readonly ClaimedSaga[]> {
    const now = this.#clock.monotonic()
    const due = [...this.#sagas]
      .filter(([, kept]) => kept.endedAt === undefined && this.#isFree(kept, owner))
      .filter(([, { owner: had, dueAt }]) => had !== undefined || (dueAt !== undefined && dueAt <= now))
      .filter(([, kept]) => sagas.includes(read(kept).saga))
      .toSorted(([, a], [, b]) => (a.dueAt ?? now) - (b.dueAt ?? now))
    return Promise.resolve(due.slice(0, limit).map(([id, kept]) => this.#take(id, kept, owner)))
  }

  claimOwn(owner: string, except: readonly string[], limit: number): Promise<readonly ClaimedSaga[]> {
    const own = [...this.#sagas].filter(([id, kept]) => kept.owner === owner && !except.includes(id))
    return Promise.resolve(own.slice(0, limit).map(([id, kept]) => this.#take(id, kept, owner)))
  }

  async save(
    claim: SagaClaim,
    change: SavedSaga | ((transaction: MemoryTransaction) => Promise<SavedSaga>),
  ): Promise<SagaClaim | undefined> {
    if (this.#held(claim) === undefined) return undefined
    const committed: (() => void)[] = []
    const { status, free } =
      typeof change === 'function' ? await change({ onCommit: (run) => void committed.push(run) }) : change
    const kept = this.#held(claim)
    if (kept === undefined) return undefined
    kept.text = JSON.stringify(status)
    kept.version++
    kept.change = ++this.#changes
    const ended = status.endedAt !== undefined
    if (ended) kept.endedAt = this.#clock.monotonic()
    if (free !== undefined || ended) {
      kept.owner = undefined
      const dueIn = ended ? undefined : free?.dueIn
      kept.dueAt = dueIn === undefined ? undefined : this.#clock.monotonic() + dueIn
    }
    for (const run of committed) run()
    return { ...claim, version: kept.version }
  }

  current({ id, token }: SagaClaim): Promise<ClaimedSaga | undefined> {
    const kept = this.#sagas.get(id)
    return Promise.resolve(kept?.token === token ? this.#claimed(id, kept) : undefined)
  }

  renew(owner: string, lease: number): Promise<void> {
    this.#leases.set(owner, this.#clock.monotonic() + lease)
    return Promise.resolve()
  }

  retire(owner: string): Promise<void> {
    this.#leases.delete(owner)
    return Promise.resolve()
  }

  list({ saga, state, stuck, since, limit = 100, after = '0' }: SagaFilter): Promise<SagaPage> {
    const found = [...this.#sagas.values()]
      .filter(({ place }) => place > Number(after))
      .map((kept) => ({ place: kept.place, status: read(kept) }))
      .filter(({ status }) => saga === undefined || status.saga === saga)
      .filter(({ status }) => state === undefined || status.state === state)
      .filter(({ status }) => stuck === undefined || (status.stuckSince !== undefined) === stuck)
      .filter(({ status }) => since === undefined || status.startedAt >= since)
    const page = found.slice(0, limit)
    const cursor = found.length > limit ? String(page.at(-1)?.place) : undefined
    return Promise.resolve({ sagas: page.map(({ status }) => status), cursor })
  }

  changes(cursor: string | undefined, limit: number): Promise<SagaChanges> {
    if (cursor === undefined) return Promise.resolve({ sagas: [], cursor: String(this.#changes) })
    const changed = [...this.#sagas.values()]
      .filter(({ change }) => change > Number(cursor))
      .toSorted((a, b) => a.change - b.change)
      .slice(0, limit)
    return Promise.resolve({ sagas: changed.map(read), cursor: String(changed.at(-1)?.change ?? cursor) })
  }

  count(): Promise<SagaCounts> {
    const all = this.#all()
    const open = all.filter(({ endedAt }) => endedAt === undefined)
    const of = (state: SagaStatus['state']): number => all.filter((status) => status.state === state).length
    return Promise.resolve({
      running: of('running'),
      compensating: of('compensating'),
      completed: of('completed'),
      compensated: of('compensated'),
      stuck: open.filter(({ stuckSince }) => stuckSince !== undefined).length,
      oldest: open.length === 0 ? undefined : Math.min(...open.map(({ startedAt }) => startedAt)),
    })
  }

  removeEnded(age: number, limit: number): Promise<number> {
    const before = this.#clock.monotonic() - age
    const old = [...this.#sagas].filter(([, { endedAt }]) => endedAt !== undefined && endedAt < before)
    for (const [id] of old.slice(0, limit)) this.#sagas.delete(id)
    return Promise.resolve(Math.min(old.length, limit))
  }

  #all(): SagaStatus[] {
    return [...this.#sagas.values()].map(read)
  }

  #held({ id, token, version }: SagaClaim): Kept | undefined {
    const kept = this.#sagas.get(id)
    const same = kept?.token === token && kept.version === version
    return same && kept.owner !== undefined ? kept : undefined
  }

  #isFree({ owner }: Kept, whom: string): boolean {
    if (owner === undefined || owner === whom) return owner === undefined
    const until = this.#leases.get(owner)
    return until === undefined || until <= this.#clock.monotonic()
  }

  #take(id: string, kept: Kept, owner: string): ClaimedSaga {
    kept.owner = owner
    kept.token++
    return this.#claimed(id, kept)
  }

  #claimed(id: string, kept: Kept): ClaimedSaga {
    const { token, version, dueAt } = kept
    const dueIn = dueAt === undefined ? undefined : Math.max(0, dueAt - this.#clock.monotonic())
    return { id, token, version, status: read(kept), dueIn }
  }
}

function read({ text }: Kept): SagaStatus {
  return JSON.parse(text) as SagaStatus
}
