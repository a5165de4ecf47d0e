/**
 * The other side of a replier, for its tests: sends requests and reads replies, straight on the transport, so that a
 * fault of the requester cannot hide one of the replier.
 */
import { randomBytes } from 'node:crypto'
import type { Clock, ScheduledTimer } from '../src/clock.ts'
import type { IncomingRecord, RecordPosition, Tail, Transport } from '../src/transport/transport.ts'
import type { RawHeader } from '../src/wire/headers.ts'
import { deadlineHeader, operationHeader, readError, type WireError } from '../src/wire/milena.ts'
import type { ReplyAddress } from '../src/wire/profile.ts'
import { springProfile } from '../src/wire/spring.ts'
import { Conditions } from '../src/testing/collector.ts'

export interface Question {
  readonly topic?: string
  readonly partition?: number
  readonly key?: string
  readonly operation?: string
  readonly deadline?: number
  /** `null`: the request names none. Default: the reply topic that is watched. */
  readonly replyTo?: ReplyAddress | null
  /** `null`: the request has none. */
  readonly correlationId?: Buffer | null
  readonly headers?: readonly RawHeader[]
}

export interface Asked {
  readonly id: string
  readonly position: RecordPosition
}

/** A reply as a requester would read it. */
export interface ReplySeen {
  readonly text: string
  readonly error: WireError | undefined
  readonly record: IncomingRecord
}

export class Asking implements AsyncDisposable {
  readonly records: IncomingRecord[] = []
  readonly conditions: Conditions = new Conditions()
  readonly #transport: Transport
  readonly #topic: string
  readonly #replyTopic: string
  #tail: Tail | undefined

  constructor(transport: Transport, topic: string, replyTopic: string) {
    this.#transport = transport
    this.#topic = topic
    this.#replyTopic = replyTopic
  }

  async open(): Promise<this> {
    this.#tail = await this.#transport.tail({
      topic: this.#replyTopic,
      partitions: 'all',
      from: 'earliest',
      onRecords: (records) => {
        this.records.push(...records)
        this.conditions.changed()
      },
    })
    return this
  }

  async ask(value: unknown, question: Question = {}): Promise<Asked> {
    const id = question.correlationId === undefined ? randomBytes(16) : question.correlationId
    const headers: RawHeader[] = []
    if (id !== null) headers.push(springProfile.correlationHeader(id))
    const address = question.replyTo === undefined ? { topic: this.#replyTopic } : question.replyTo
    if (address !== null) headers.push(...springProfile.addressHeaders(address))
    if (question.operation !== undefined) headers.push(operationHeader(question.operation))
    if (question.deadline !== undefined) headers.push(deadlineHeader(question.deadline))
    headers.push(...(question.headers ?? []))
    const position = await this.#transport.send({
      topic: question.topic ?? this.#topic,
      partition: question.partition,
      key: question.key === undefined ? null : Buffer.from(question.key),
      value: Buffer.isBuffer(value) ? value : Buffer.from(JSON.stringify(value)),
      headers,
    })
    return { id: id?.toString('hex') ?? '', position }
  }

  repliesTo({ id }: Asked): ReplySeen[] {
    return this.records
      .filter((record) => springProfile.readCorrelation(record.headers)?.toString('hex') === id)
      .map((record) => ({ text: String(record.value ?? ''), error: readError(record.headers), record }))
  }

  async reply(asked: Asked): Promise<ReplySeen> {
    await this.conditions.until(
      `request ${asked.position.partition}:${asked.position.offset} is answered`,
      () => this.repliesTo(asked).length > 0,
      () => `${this.records.length} replies have come`,
    )
    return this.repliesTo(asked)[0]!
  }

  async answerTo(value: unknown, question?: Question): Promise<ReplySeen> {
    return this.reply(await this.ask(value, question))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#tail?.close()
  }
}

/** Handlers that stop until they are let go on, and a record of when each began and ended. */
export class Gates {
  readonly conditions: Conditions = new Conditions()
  readonly began: string[] = []
  readonly ended: string[] = []
  readonly #shut = new Map<string, PromiseWithResolvers<void>>()
  #most = 0

  /** The most that were inside at once. */
  get most(): number {
    return this.#most
  }

  shut(...names: string[]): void {
    for (const name of names) this.#shut.set(name, Promise.withResolvers())
  }

  open(...names: string[]): void {
    for (const name of names) this.#shut.get(name)?.resolve()
  }

  async pass(name: string): Promise<void> {
    this.began.push(name)
    this.#most = Math.max(this.#most, this.began.length - this.ended.length)
    this.conditions.changed()
    await this.#shut.get(name)?.promise
    this.ended.push(name)
    this.conditions.changed()
  }

  hasBegun(...names: string[]): Promise<void> {
    return this.conditions.until(
      `${names.join(', ')} began`,
      () => names.every((name) => this.began.includes(name)),
      () => `these began: ${this.began.join(', ')}`,
    )
  }
}

/** A handler that answers with its request, once it is let through. */
export const gated =
  (gates: Gates) =>
  async (request: string): Promise<string> => {
    await gates.pass(request)
    return request
  }

/** Looks again and again, between turns of the event loop, for what nothing reports. */
export async function until(what: string, met: () => boolean): Promise<void> {
  const end = performance.now() + 60_000
  while (!met()) {
    if (performance.now() > end) throw new Error(`still waiting until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

/** The machine's clock, which knows how many timers are set. */
export class CountingClock implements Clock {
  readonly timers: Set<NodeJS.Timeout> = new Set()

  now(): number {
    return Date.now()
  }

  monotonic(): number {
    return performance.now()
  }

  schedule(delay: number, run: () => void): ScheduledTimer {
    const timer = setTimeout(() => {
      this.timers.delete(timer)
      run()
    }, delay)
    this.timers.add(timer)
    return {
      cancel: () => {
        clearTimeout(timer)
        this.timers.delete(timer)
      },
    }
  }
}
