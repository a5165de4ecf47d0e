import type { Clock } from '../clock.ts'
import type { ReplyAddress } from '../wire/profile.ts'
import type { UndeliverableAddress } from './health.ts'
import type { Warnings } from '../warnings.ts'

/** Milliseconds without any acknowledgement from an address after which it is told, and after which it is sick. */
const slowAfter = 2_000
/** Longer than the election of a new leader takes when a broker has died: that costs no reply. */
const sickAfter = 15_000
/** The most addresses that are kept without anything under way to them, and of these the most in trouble. */

const mostIdle = 1_000
const mostTroubled = 100

/** What is under way to one address. */
export class Share {
  readonly topic: string
  readonly partition: number | undefined
  waiting = 0
  givenUp = 0
  /** When something was acknowledged last, or the first of what waits came, in `Clock.monotonic` milliseconds. */
  progress = 0
  /** In milliseconds since the Unix epoch. */
  troubledSince: number | undefined
  error: Error | undefined
  told = false
  /** For the count of one look. */
  looked = 0

  constructor({ topic, partition }: ReplyAddress) {
    this.topic = topic
    this.partition = partition
  }
}

/**
 * Replies that wait to be acknowledged, by address: each address has a share of what may be in hand, so that one whose
 * partition has no leader does not take everybody's room. When nothing was acknowledged by an address for 2 s, what waits
 * beyond its share is set aside (`InHand.setAside`), and others go on.
 *
 * Beyond its share replies are given up, but only when nothing was acknowledged by the address for 15 s: an ordinary
 * election costs no reply. Addresses come over the wire: none is kept that nothing is under way to, beyond a bound.
 */
export class ReplyShares {
  readonly #most: number
  readonly #clock: Clock
  readonly #warnings: Warnings
  readonly #shares = new Map<string, Map<number | undefined, Share>>()
  #size = 0
  #troubled = 0
  #waiting = 0

  /** @param most replies that may wait for one address */
  constructor(most: number, clock: Clock, warnings: Warnings) {
    this.#most = most
    this.#clock = clock
    this.#warnings = warnings
  }

  /** Replies that wait to be acknowledged. */
  get waiting(): number {
    return this.#waiting
  }

  /** How many addresses are kept. */
  get size(): number {
    return this.#size
  }

  /** A reply to this address is ready. @param now in `Clock.monotonic` milliseconds */
  enter(address: ReplyAddress, now: number): Share {
    let byPartition = this.#shares.get(address.topic)
    if (byPartition === undefined) this.#shares.set(address.topic, (byPartition = new Map()))
    let share = byPartition.get(address.partition)
    if (share === undefined) {
      byPartition.set(address.partition, (share = new Share(address)))
      this.#size++
    }
    if (share.waiting++ === 0) share.progress = now
    this.#waiting++
    return share
  }

  /** Whether it has had its share, and nothing was acknowledged for long. */
  isFull(share: Share, now: number): boolean {
    return share.waiting > this.#most && now - share.progress >= sickAfter
  }

  acknowledged(share: Share, now: number): void {
    share.progress = now
    if (share.troubledSince !== undefined) this.#recovered(share)
  }

  failed(share: Share, error: Error, givenUp: boolean): void {
    share.error = error
    if (givenUp) share.givenUp++
    this.#trouble(share)
  }

  leave(share: Share): void {
    share.waiting--
    this.#waiting--
    if (share.waiting === 0 && this.#size > mostIdle) this.#forget(share)
  }

  /**
   * Tells of addresses that acknowledge nothing, and forgets those that nothing is under way to. Returns how many replies
   * wait beyond the shares of those addresses.
   */
  look(now: number): number {
    let beyond = 0
    for (const byPartition of this.#shares.values()) {
      for (const share of byPartition.values()) {
        share.looked = 0
        if (share.waiting === 0) {
          if (share.troubledSince === undefined) this.#forget(share)
        } else if (now - share.progress >= slowAfter) {
          beyond += Math.max(0, share.waiting - this.#most)
          if (!share.told && 2 * share.waiting >= this.#most) this.#tell(share, now)
        }
      }
    }
    return beyond
  }

  /** While looking: whether this reply, of those that wait for its address, is one too many. */
  isBeyond(share: Share, now: number): boolean {
    return ++share.looked > this.#most && this.isFull(share, now)
  }

  /** The addresses in trouble, at most 100. */
  get undeliverable(): readonly UndeliverableAddress[] {
    const troubled: UndeliverableAddress[] = []
    for (const byPartition of this.#shares.values()) {
      for (const {
        topic,
        partition,
        waiting,
        givenUp,
        error,
        troubledSince: since,
      } of byPartition.values()) {
        if (since !== undefined) troubled.push({ topic, partition, since, waiting, givenUp, error })
      }
    }
    return troubled
  }

  #tell(share: Share, now: number): void {
    const { topic, partition, waiting } = share
    share.told = true
    this.#trouble(share)
    const milliseconds = Math.round(now - share.progress)
    const details = { topic, partition, waiting, share: this.#most, milliseconds }
    this.#warnings.tell('replies to an address are not acknowledged', details, share.error)
  }

  #trouble(share: Share): void {
    if (share.troubledSince !== undefined) return
    if (this.#troubled >= mostTroubled && !this.#forgetOldTrouble()) return
    share.troubledSince = this.#clock.now()
    this.#troubled++
  }

  #forgetOldTrouble(): boolean {
    for (const byPartition of this.#shares.values()) {
      for (const share of byPartition.values()) {
        if (share.troubledSince === undefined || share.waiting > 0) continue
        this.#forget(share)
        return true
      }
    }
    return false
  }

  #recovered(share: Share): void {
    share.troubledSince = undefined
    share.error = undefined
    share.givenUp = 0
    share.told = false
    this.#troubled--
  }

  #forget(share: Share): void {
    if (share.troubledSince !== undefined) this.#recovered(share)
    const byPartition = this.#shares.get(share.topic)
    if (byPartition?.delete(share.partition) !== true) return
    this.#size--
    if (byPartition.size === 0) this.#shares.delete(share.topic)
  }
}
