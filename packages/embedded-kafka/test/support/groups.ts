import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import type { Clock, Timer } from '../../src/groups/clock.ts'
import { GroupCoordinator } from '../../src/groups/coordinator.ts'
import type { GroupOptions } from '../../src/groups/options.ts'
import type { JoinRequest, JoinResult, MemberIdentity, SyncResult } from '../../src/groups/types.ts'

/** A clock that stands still until it is turned. */
export class HandClock implements Clock {
  #now = 0
  readonly #timers = new Set<{ at: number; run: (lateMs: number) => void }>()

  now(): number {
    return this.#now
  }

  get timers(): number {
    return this.#timers.size
  }

  schedule(delayMs: number, run: (lateMs: number) => void): Timer {
    const timer = { at: this.#now + delayMs, run }
    this.#timers.add(timer)
    return { cancel: () => this.#timers.delete(timer) }
  }

  /** Runs within the same turn of the clock, after what is due. */
  afterInput(run: () => void): Timer {
    return this.schedule(0, run)
  }

  /** Runs what falls due, in order. */
  advance(ms: number): void {
    this.#run(this.#now + ms)
  }

  /**
   * The process is held up for so long, and then finds what fell due. `input`, what arrived meanwhile, is read after
   * the timers, as Node does.
   */
  holdUp(ms: number, input: () => void): void {
    this.#now += ms
    const due = [...this.#timers].filter(({ at }) => at <= this.#now).toSorted((a, b) => a.at - b.at)
    for (const timer of due) {
      if (this.#timers.delete(timer)) timer.run(this.#now - timer.at)
    }
    input()
    this.#run(this.#now)
  }

  #run(end: number): void {
    for (;;) {
      const due = [...this.#timers].filter(({ at }) => at <= end).toSorted((a, b) => a.at - b.at)[0]
      if (!due) break
      this.#timers.delete(due)
      this.#now = Math.max(this.#now, due.at)
      due.run(0)
    }
    this.#now = end
  }
}

export const delay = 20
export const session = 10_000
export const rebalance = 30_000

function hasPartition(topic: string, partition: number): boolean {
  return topic === 't' && partition < 3
}

/** A coordinator with the topic `t` of three partitions, on a clock turned by hand. */
export function makeCoordinator(options: GroupOptions = {}): { groups: GroupCoordinator; clock: HandClock } {
  const clock = new HandClock()
  return { groups: new GroupCoordinator({ hasPartition, options, clock }), clock }
}

/** A consumer's subscription, version 0, to these topics. */
export function subscription(...topics: string[]): Buffer {
  const head = Buffer.alloc(6)
  head.writeInt32BE(topics.length, 2)
  const names = topics.map((topic) => {
    const length = Buffer.alloc(2)
    length.writeInt16BE(topic.length)
    return Buffer.concat([length, Buffer.from(topic)])
  })
  return Buffer.concat([head, ...names, Buffer.from([255, 255, 255, 255])])
}

export function joinRequest(changes: Partial<JoinRequest> = {}): JoinRequest {
  return {
    groupId: 'g',
    memberId: '',
    instanceId: null,
    clientId: 'client',
    clientHost: '/127.0.0.1',
    sessionTimeoutMs: session,
    rebalanceTimeoutMs: rebalance,
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: subscription('t') }],
    requireMemberId: false,
    canSkipAssignment: false,
    ...changes,
  }
}

export function identity(joined: JoinResult, changes: Partial<MemberIdentity> = {}): MemberIdentity {
  return {
    groupId: 'g',
    memberId: joined.memberId,
    instanceId: null,
    generation: joined.generation,
    ...changes,
  }
}

export function sync(
  groups: GroupCoordinator,
  joined: JoinResult,
  assignments: Record<string, string> = {},
  changes: Partial<MemberIdentity> = {},
): Promise<SyncResult> {
  return groups.sync({
    ...identity(joined, changes),
    protocolType: joined.protocolType,
    protocol: joined.protocol,
    assignments: Object.entries(assignments).map(([memberId, text]) => {
      return { memberId, assignment: Buffer.from(text) }
    }),
  })
}

/** Whether a request is still without an answer after everything that was due has run. */
export async function isParked(answer: Promise<unknown>): Promise<boolean> {
  const waiting = Symbol('waiting')
  return (await Promise.race([answer, setImmediate(waiting)])) === waiting
}

/** Joins members with these changes, waits for the first generation, the leader first, and distributes the work. */
export async function formGroup(
  groups: GroupCoordinator,
  clock: HandClock,
  ...members: Partial<JoinRequest>[]
): Promise<[JoinResult, ...JoinResult[]]> {
  const answers = members.map((changes) => groups.join(joinRequest(changes)))
  clock.advance(delay * 3)
  const [leader, ...followers] = await Promise.all(answers)
  assert.ok(leader)
  assert.equal(leader.leader, leader.memberId)
  const all = [leader, ...followers]
  const work = Object.fromEntries(all.map(({ memberId }, index) => [memberId, `work ${index}`]))
  const synced = await Promise.all(
    all.map((joined, index) => {
      const instanceId = members[index]?.instanceId ?? null
      return sync(groups, joined, joined === leader ? work : {}, { instanceId })
    }),
  )
  for (const { error } of synced) assert.equal(error, 0)
  assert.equal(groups.describe('g').state, 'Stable')
  return [leader, ...followers]
}
