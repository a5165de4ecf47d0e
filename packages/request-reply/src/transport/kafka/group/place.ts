/** A member's place in its group: its name there, and the generations that it has taken part in. */
import type { Identity, JoinAnswer } from './coordinator-requests.ts'

/** As `member.ts` draws it. */
export type PlaceState = 'outside' | 'joining' | 'syncing' | 'stable'

export class Place {
  #state: PlaceState = 'outside'
  #memberId = ''
  /** As of the last JoinGroup. */
  #generation = -1
  /** The generation of the last assignment. */
  #synced = -1
  #naming: Promise<string> | undefined

  isIn(state: PlaceState): boolean {
    return this.#state === state
  }

  /** Empty while the coordinator has given none. */
  get memberId(): string {
    return this.#memberId
  }

  /** The answer to a JoinGroup without a member id, which names us: there is a member from then on. */
  get naming(): Promise<string> | undefined {
    return this.#naming
  }

  /** As the coordinator is asked for it; it may know better. */
  get claimed(): Identity {
    return { memberId: this.#memberId, generation: this.#generation }
  }

  /** Who this member is; `undefined` while a rebalance settles that, and without a place. */
  get identity(): Identity | undefined {
    if (this.#state === 'syncing' || this.#state === 'outside' || !this.isHeld) return undefined
    return this.claimed
  }

  /** The generation of the last assignment, while there is one that holds; else −1. */
  get synced(): number {
    return this.#synced
  }

  /** Whether the group has given this member something, if only its place, and has not taken it away. */
  get isHeld(): boolean {
    return this.#synced !== -1
  }

  /** JoinGroup is under way. */
  joining(answer: Promise<JoinAnswer>): void {
    this.#state = 'joining'
    if (this.#memberId !== '') return
    this.#naming = answer.then(
      ({ memberId }) => memberId,
      () => '',
    )
  }

  /** JoinGroup was answered with a name, whatever else. */
  named(memberId: string): void {
    this.#memberId = memberId
  }

  /** JoinGroup was answered, or will not be. */
  joiningEnded(): void {
    this.#naming = undefined
  }

  /** Everybody is there; the assignment is to come. */
  syncing(generation: number): void {
    this.#generation = generation
    this.#state = 'syncing'
  }

  settled(): void {
    this.#synced = this.#generation
    this.#state = 'stable'
  }

  /** The group may have gone on without this member. With a name it is asked for under that; else it comes as a new one. */
  lost(memberId: string): void {
    this.#memberId = memberId
    this.#generation = -1
    this.#synced = -1
    this.#state = 'outside'
  }
}
