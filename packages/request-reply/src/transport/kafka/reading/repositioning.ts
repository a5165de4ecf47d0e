/**
 * Where reading goes on when what was to be read next is not in the log (any more).
 *
 *   expired                      the earliest that is left, further on: the same log
 *   beyond the end               the earliest that is left: nobody can say how much of what was read still stands there
 *   cut, and its term says so    where our reading and the log part (KIP-320): what stands before that was read
 *
 * The last two are restarts: what was remembered of the log, by offset, is of records that are gone.
 */
import { TransportError } from '../../../errors.ts'
import { errorName, kafka } from '../protocol/error-codes.ts'
import { NO_TOPIC_ID } from '../protocol/primitive-types.ts'
import type { ReadPartition } from './broker-fetcher.ts'
import type { DivergingTerm } from './fetch-api.ts'
import { findOffsets, type OffsetsSource } from './offsets.ts'

/** Milliseconds before a partition is fetched again whose log may be another one. */
const DOUBT_PAUSE = 100

export interface RepositioningHost {
  /** The position is another one; `restarted`: of a log that is not the one that was read. */
  repositioned(partition: ReadPartition, restarted: boolean): void
  tell(error: Error): void
}

export class Repositioning {
  readonly #source: OffsetsSource
  readonly #host: RepositioningHost

  constructor(source: OffsetsSource, host: RepositioningHost) {
    this.#source = source
    this.#host = host
  }

  /** The broker has refused the position. */
  async outOfRange(one: ReadPartition): Promise<void> {
    const { position } = one
    if (one.lastEpoch !== -1) {
      // A log whose terms are not known (they were written by an old release) refuses so, too: once more without.
      one.followsEpochs = false
      one.lastEpoch = -1
      one.notBefore = 0
      return
    }
    one.notBefore = Infinity
    try {
      if (!(await this.#isSameLog(one))) return
      const [earliest] = await findOffsets(this.#source, [one], 'earliest')
      if (one.removed || one.position !== position) return
      const expired = earliest! > position
      const lost = expired
        ? `${earliest! - position} offsets were deleted before they were read`
        : 'the log ends before it: it was cut, or the offset is of another log'
      this.#host.tell(
        new TransportError(
          'MILENA_BROKER_ERROR',
          `topic ${one.topic}, partition ${one.partition}: offset ${position} is not there any more ` +
            `(${errorName(kafka.offsetOutOfRange)}, ${lost}); reading goes on at the earliest that is left, ${earliest}`,
        ),
      )
      one.followsEpochs = true
      this.#goOn(one, earliest!, !expired)
    } catch {
      one.notBefore = 0 // fetched again, refused again, and so on until somebody knows
    }
  }

  /** The leader's log does not have what was read last: it was elected without it. */
  async cut(one: ReadPartition, { epoch, endOffset }: DivergingTerm): Promise<void> {
    const { position } = one
    // Of a later term than the leader's last in common, nothing that was read stands in its log.
    const common = epoch < one.lastEpoch ? Math.min(endOffset, one.lastEpochFrom) : endOffset
    const next = Math.max(0, Math.min(position, common))
    if (next < position) {
      one.notBefore = Infinity
      try {
        if (!(await this.#isSameLog(one))) return
      } catch {
        one.notBefore = 0 // fetched again, and answered so again
        return
      }
    }
    one.lastEpoch = epoch // so that the next fetch says whether they part before that
    one.lastEpochFrom = next
    if (next === position) return
    const what = next === position - 1 ? `offset ${next} was` : `offsets ${next} to ${position - 1} were`
    this.#host.tell(
      new TransportError(
        'MILENA_BROKER_ERROR',
        `topic ${one.topic}, partition ${one.partition}: ${what} read and not in the log any more (it was cut, as by an ` +
          `unclean leader election: what was acknowledged there is lost); reading goes on at ${next}`,
      ),
    )
    this.#goOn(one, next, true)
  }

  /**
   * Whether the log is cut, or expired, and not another one. Where fetches name topics (before version 13) a topic that was
   * made anew shows itself like both; its leader knows that, and other brokers may not know it yet. If it is another one,
   * or led by somebody else meanwhile, it is fetched again a moment later, or from its beginning once metadata says so.
   */
  async #isSameLog(one: ReadPartition): Promise<boolean> {
    const { metadata } = this.#source
    const { leader, epoch, resets } = one
    await metadata.refresh()
    const node = metadata.nodes.get(leader)
    if (one.removed || one.resets !== resets) return false
    if (one.leader === leader && one.epoch === epoch && node !== undefined) {
      const [topic] = await metadata.describeAt(node, [one.topic])
      if (one.removed || one.resets !== resets) return false
      const ids = [topic?.id, one.topicId]
      if (topic?.errorCode === kafka.none && (ids[0] === ids[1] || ids.includes(NO_TOPIC_ID))) return true
    }
    one.notBefore = performance.now() + DOUBT_PAUSE
    return false
  }

  #goOn(one: ReadPartition, position: number, restarted: boolean): void {
    one.position = position
    one.notBefore = 0
    one.resets++
    one.knownEnd = Infinity
    one.damage = undefined
    this.#host.repositioned(one, restarted)
  }
}
