import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import type { GroupCoordinator } from '../src/groups/coordinator.ts'
import type { JoinResult } from '../src/groups/types.ts'
import { errorCodes } from '../src/wire/error-codes.ts'
import { delay, identity, joinRequest, makeCoordinator, rebalance, session, sync } from './support/groups.ts'

/** Small, repeatable random numbers from 0 to 1 (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** What was given to whom, to see that no generation gives two members the same work. */
type Ledger = Map<string, string>

/** A client that does one thing a step: joins, syncs, beats, and now and then leaves or dies without a word. */
class Client {
  readonly #groups: GroupCoordinator
  readonly #random: () => number
  readonly #ledger: Ledger
  readonly #instanceId: string | null
  #memberId = ''
  #joined: JoinResult | null = null
  /** Counts lives: an answer to a former one is nobody's. */
  #life = 0
  #waits = false
  isMember = false
  parked = 0

  constructor(groups: GroupCoordinator, random: () => number, ledger: Ledger, instanceId: string | null) {
    this.#groups = groups
    this.#random = random
    this.#ledger = ledger
    this.#instanceId = instanceId
  }

  step(mischief: number): void {
    if (this.#random() < mischief) this.#vanish()
    else if (this.#waits) return
    else if (!this.#joined) void this.#join()
    else if (this.isMember) this.#beat(this.#joined)
    else void this.#sync(this.#joined)
  }

  #vanish(): void {
    const instanceId = this.#instanceId
    if (this.#random() < 0.4) this.#groups.leave('g', [{ memberId: this.#memberId, instanceId }])
    this.#life += 1
    this.#forget('')
    this.#waits = false
  }

  #forget(memberId: string): void {
    this.#memberId = memberId
    this.#joined = null
    this.isMember = false
  }

  /** What the answer is, or undefined when this client has died meanwhile. */
  async #await<T>(answer: Promise<T>): Promise<T | undefined> {
    const life = this.#life
    this.#waits = true
    this.parked += 1
    const result = await answer
    this.parked -= 1
    if (life !== this.#life) return undefined
    this.#waits = false
    return result
  }

  async #join(): Promise<void> {
    const requireMemberId = this.#random() < 0.7
    const changes = { memberId: this.#memberId, instanceId: this.#instanceId, requireMemberId }
    const joined = await this.#await(this.#groups.join(joinRequest(changes)))
    if (!joined) return
    if (joined.error === errorCodes.NONE) {
      this.#memberId = joined.memberId
      this.#joined = joined
    } else if (joined.error === errorCodes.MEMBER_ID_REQUIRED) {
      this.#memberId = joined.memberId
    } else {
      this.#failed(joined.error)
    }
  }

  async #sync(joined: JoinResult): Promise<void> {
    const work = Object.fromEntries(
      joined.members.map(({ memberId }, index) => [memberId, `${joined.generation}/${index}`]),
    )
    const synced = await this.#await(sync(this.#groups, joined, work, { instanceId: this.#instanceId }))
    if (!synced) return
    if (synced.error !== errorCodes.NONE) {
      this.#failed(synced.error)
      return
    }
    this.isMember = true
    const share = synced.assignment.toString()
    // A static member's successor, under its own instance id, is the same holder.
    const holder = this.#instanceId ?? this.#memberId
    if (share === '') return
    assert.equal(share.split('/')[0], String(joined.generation), 'work of another generation')
    assert.equal(this.#ledger.get(share) ?? holder, holder, `${share} is given to two members`)
    this.#ledger.set(share, holder)
  }

  #beat(joined: JoinResult): void {
    const error = this.#groups.heartbeat(identity(joined, { instanceId: this.#instanceId }))
    if (error !== errorCodes.NONE) this.#failed(error)
  }

  #failed(error: number): void {
    const { REBALANCE_IN_PROGRESS, UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION, FENCED_INSTANCE_ID } = errorCodes
    assert.ok(
      [REBALANCE_IN_PROGRESS, UNKNOWN_MEMBER_ID, ILLEGAL_GENERATION, FENCED_INSTANCE_ID].includes(
        error as 27,
      ),
    )
    this.#forget(error === REBALANCE_IN_PROGRESS || error === ILLEGAL_GENERATION ? this.#memberId : '')
  }
}

for (const seed of [1, 2, 3, 4, 5, 6, 7, 8]) {
  test(`whoever joins, leaves and dies: work is never given twice, and calm brings stability (seed ${seed})`, async () => {
    const { groups, clock } = makeCoordinator()
    const random = randomFrom(seed)
    const ledger: Ledger = new Map()
    const clients = Array.from({ length: 6 }, (_, index) => {
      return new Client(groups, random, ledger, index < 3 ? `static-${index}` : null)
    })
    for (let round = 0; round < 400; round++) {
      for (const client of clients) if (random() < 0.6) client.step(0.03)
      await setImmediate()
      clock.advance(Math.floor(random() ** 4 * session))
    }
    // Everybody behaves: after the slowest rebalance and a session, all are members.
    const calm = rebalance * 2 + session * 2
    for (let passed = 0; passed < calm; passed += 500) {
      for (const client of clients) client.step(0)
      await setImmediate()
      clock.advance(500)
    }
    const { state, members } = groups.describe('g')
    assert.deepEqual([state, members.length], ['Stable', clients.length])
    for (const client of clients) assert.ok(client.isMember)
    assert.ok(ledger.size > 50)

    // Everybody is gone: their sessions end, and nothing of them is left.
    clock.advance(session + delay)
    assert.equal(groups.describe('g').state, 'Empty')
    await setImmediate()
    for (const client of clients) assert.equal(client.parked, 0, 'a request was never answered')
    groups.close()
    assert.deepEqual([clock.timers, groups.bytes], [0, 0])
  })
}
