import { errorCodes } from '../wire/error-codes.ts'
import { ProtocolError } from '../wire/protocol-error.ts'
import { configProblem, listElements, topicConfigTable } from './topic-config-table.ts'

const day = 24 * 60 * 60 * 1000

/** The configs of one topic: those that were set, and what the log needs of them, ready to use. */
export class TopicConfigs {
  readonly #defaults: ReadonlyMap<string, string>
  #set = new Map<string, string>()
  maxMessageBytes = 0
  logAppendTime = false
  timestampAfterMaxMs = 0
  timestampBeforeMaxMs = 0
  /** -1: no bound. */
  retentionMs = 0
  /** -1: no bound. */
  retentionBytes = 0
  /** Whether records may be deleted by age and size (cleanup.policy has `delete`). */
  deletes = true
  /** Whether records need keys (cleanup.policy has `compact`). */
  compacts = false
  readonly producerExpirationMs: number = day

  /**
   * @param set - as CreateTopics has it
   * @param defaults - the broker's own defaults, where they differ from Apache Kafka's
   * @throws ProtocolError INVALID_CONFIG
   */
  constructor(set: ReadonlyMap<string, string>, defaults: ReadonlyMap<string, string> = new Map()) {
    this.#defaults = defaults
    this.replace(set)
  }

  /** Whether the topic has this config of its own. */
  has(name: string): boolean {
    return this.#set.has(name)
  }

  /** Whether the broker has a default of its own for this config. */
  hasBrokerDefault(name: string): boolean {
    return this.#defaults.has(name)
  }

  /** The value in effect; of a config that exists. */
  get(name: string): string {
    return this.#set.get(name) ?? this.defaultOf(name)
  }

  defaultOf(name: string): string {
    return this.#defaults.get(name) ?? topicConfigTable.get(name)?.default ?? ''
  }

  /** Memory that the texts take, in bytes. */
  get bytes(): number {
    let characters = 0
    for (const [name, value] of this.#set) characters += name.length + value.length
    return characters * 2
  }

  /** The configs that were set. */
  entries(): ReadonlyMap<string, string> {
    return this.#set
  }

  /**
   * Replaces all that was set.
   * @throws ProtocolError INVALID_CONFIG, and nothing is changed
   */
  replace(set: ReadonlyMap<string, string>): void {
    const problems: string[] = []
    for (const [name, value] of set) {
      const definition = topicConfigTable.get(name)
      const problem =
        definition === undefined
          ? `unknown topic config name: ${name}`
          : configProblem(name, definition, value)
      if (problem !== undefined) problems.push(problem)
    }
    if (problems.length > 0) throw new ProtocolError(errorCodes.INVALID_CONFIG, problems.join('; '))
    this.#set = new Map(set)
    this.maxMessageBytes = Number(this.get('max.message.bytes'))
    this.logAppendTime = this.get('message.timestamp.type') === 'LogAppendTime'
    this.timestampAfterMaxMs = Number(this.get('message.timestamp.after.max.ms'))
    this.retentionMs = Number(this.get('retention.ms'))
    this.retentionBytes = Number(this.get('retention.bytes'))
    this.timestampBeforeMaxMs = Number(this.get('message.timestamp.before.max.ms'))
    const policy = listElements(this.get('cleanup.policy'))
    this.deletes = policy.includes('delete')
    this.compacts = policy.includes('compact')
  }
}
