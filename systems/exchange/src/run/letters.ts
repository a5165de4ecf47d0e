/** What an operator does with cancellations that were given up: looks at them, and has them done after all. */
import { deadLetters, type DeadLetters } from '@milena/request-reply'
import { accountServices, defineCommands } from '../operations.ts'

export interface LetterCounts {
  /** Cancellations that were given up. */
  readonly letters: number
  /** Their tries, beyond the first of each. */
  readonly retries: number
}

export class Letters implements AsyncDisposable {
  readonly #letters: DeadLetters
  readonly #topics: readonly string[]
  replayed = 0

  constructor(brokers: string, prefix: string) {
    const kafka = { brokers: brokers.split(','), clientId: `${prefix}operator` }
    this.#letters = deadLetters({ kafka, createTopics: true })
    this.#topics = accountServices.map((service) => defineCommands(prefix)[service].requestTopic)
  }

  async count(): Promise<LetterCounts> {
    const counts = { letters: 0, retries: 0 }
    for (const topic of this.#topics)
      for await (const { attempts = 1 } of this.#letters.list({ topic })) {
        counts.letters++
        counts.retries += attempts - 1
      }
    return counts
  }

  /** Has each done that was not replayed before; the reply goes where it was to go. */
  async replay(): Promise<void> {
    for (const topic of this.#topics) {
      const replays = this.#letters.replay(
        { topic },
        { dryRun: false, replyTo: 'requester', by: 'npm run exchange' },
      )
      for await (const { verdict } of replays) if (verdict === 'replayed') this.replayed++
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#letters.close()
  }
}
