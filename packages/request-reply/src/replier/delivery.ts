import type { Clock } from '../clock.ts'
import { replySent } from '../diagnostics.ts'
import { MilenaError, remoteCodes } from '../errors.ts'
import type { RecordPosition, Transport } from '../transport/transport.ts'
import type { Answer, Answers } from './answer.ts'
import { coordinates, type PassedOver } from './handling.ts'
import type { PartitionWork } from './partition-work.ts'
import type { ReplierCounters } from './stats.ts'
import type { Warnings } from './warnings.ts'

/** Milliseconds before a reply is sent again: at first, doubled each time, at most. */
const firstPause = 100
const longestPause = 2_000

export interface DeliveryOptions {
  readonly groupId: string
  readonly transport: Transport
  readonly answers: Answers
  readonly clock: Clock
  readonly counters: ReplierCounters
  readonly warnings: Warnings
}

/**
 * Sends replies until the brokers have them.
 *
 * A reply that may or may not be in the log is sent again: the requester tells duplicates apart, and a lost one would
 * leave it without an answer. Attempts end when the partition is let go, for then the request is handled again.
 */
export class Delivery {
  readonly #options: DeliveryOptions

  constructor(options: DeliveryOptions) {
    this.#options = options
  }

  /**
   * `delivered`: acknowledged by all in-sync replicas. `given up`: the partition is gone, the request comes again.
   * Otherwise it can never be delivered. Never rejects.
   */
  async deliver(answer: Answer, work: PartitionWork): Promise<'delivered' | 'given up' | PassedOver> {
    let pause = firstPause
    for (let attempt = 1; ; attempt++) {
      let failure: MilenaError
      try {
        this.#count(answer, await this.#options.transport.send(answer.record))
        return 'delivered'
      } catch (error) {
        failure = asMilenaError(error)
      }
      if (failure.code === 'MILENA_RECORD_TOO_LARGE' && answer.errorCode === undefined) {
        answer = this.#tooLarge(answer)
        continue
      }
      if (isFinal(failure)) {
        const detail = `no reply to ${JSON.stringify(answer.record.topic)} is possible: ${failure.code}: ${failure.message}`
        return { reason: 'reply-undeliverable', detail }
      }
      if (work.gone || failure.code === 'MILENA_CLOSED') return 'given up'
      if (attempt === 1) {
        this.#options.warnings.tell(
          'a reply was not acknowledged and is sent again',
          this.#details(answer),
          failure,
        )
      }
      await this.#sleep(pause, work)
      if (work.gone) return 'given up'
      pause = Math.min(longestPause, pause * 2)
    }
  }

  #count(answer: Answer, reply: RecordPosition): void {
    const { counters } = this.#options
    counters.replied++
    if (answer.errorCode !== undefined) counters.countErrorReply(answer.errorCode)
    if (replySent.hasSubscribers) replySent.publish({ ...this.#details(answer), reply })
  }

  /** The work is done, and the requester shall know that much. */
  #tooLarge(answer: Answer): Answer {
    const bytes = answer.record.value?.length ?? 0
    this.#options.warnings.tell('a reply is too large for its topic', { ...this.#details(answer), bytes })
    const message = `the reply's value has ${bytes} bytes; with its headers that is more than the reply topic accepts`
    return this.#options.answers.error(answer.to, answer.operation, remoteCodes.replyInvalid, message, true)
  }

  #sleep(delay: number, work: PartitionWork): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        timer.cancel()
        work.sleeping.delete(wake)
        resolve()
      }
      const timer = this.#options.clock.schedule(delay, wake)
      work.sleeping.add(wake)
    })
  }

  #details(answer: Answer): {
    operation: string | undefined
    correlationId: string
    groupId: string
    position: RecordPosition
  } {
    return {
      operation: answer.operation,
      correlationId: answer.to.correlationId.toString('hex'),
      groupId: this.#options.groupId,
      position: coordinates(answer.to.record),
    }
  }
}

function asMilenaError(error: unknown): MilenaError {
  if (error instanceof MilenaError) return error
  return new MilenaError('MILENA_BROKER_ERROR', String(error), { cause: error })
}

/** Whether the brokers will never take this record. */
function isFinal(failure: MilenaError): boolean {
  switch (failure.code) {
    case 'MILENA_TOPIC_MISSING':
    case 'MILENA_PARTITION_MISSING':
    case 'MILENA_NOT_AUTHORIZED':
    case 'MILENA_RECORD_TOO_LARGE':
      return true
    case 'MILENA_BROKER_ERROR':
      return !failure.retryable
    default:
      return false
  }
}
